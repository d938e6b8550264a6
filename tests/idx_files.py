"""Writes IDX files, and a data set of Fashion-MNIST's names and shapes, for the tests of what reads them."""

from __future__ import annotations

import functools
import gzip
import struct
from pathlib import Path

import numpy as np


def encode(array: np.ndarray) -> bytes:
    return b"\x00\x00\x08" + struct.pack(f">B{array.ndim}I", array.ndim, *array.shape) + array.tobytes()


def write(path: Path, array: np.ndarray) -> None:
    content = encode(array)
    path.write_bytes(gzip.compress(content, 1) if path.suffix == ".gz" else content)


@functools.cache
def lookalike() -> dict[str, np.ndarray]:
    """Blank images of random labels, under the names and with the shapes of Fashion-MNIST's files."""
    rng = np.random.default_rng(0)
    arrays = {}
    for name, size in (("train", 60_000), ("t10k", 10_000)):
        arrays[f"{name}-images-idx3-ubyte"] = np.zeros((size, 28, 28), np.uint8)
        arrays[f"{name}-labels-idx1-ubyte"] = rng.integers(0, 10, size, np.uint8)
    return arrays
