"""Reads IDX files, the format of MNIST and Fashion-MNIST: a big-endian header, then bytes in row-major order.

The header is `00 00 08 d` (8: unsigned bytes, d: the number of dimensions) and d sizes of four bytes each; see
"The MNIST database" (LeCun, Cortes, Burges).
"""

from __future__ import annotations

import hashlib
import math
import os
import struct
from typing import BinaryIO

import numpy as np

from fmnist_jax.data.files import open_unpacked
from fmnist_jax.errors import DataError

_MAGIC = b"\x00\x00\x08"
_MAX_DIMENSIONS = 8
_MAX_BYTES = 2**30  # 20 times Fashion-MNIST: above it, the header is taken to be damaged
_BLOCK = 2**20


def read(path: str | os.PathLike[str]) -> np.ndarray:
    """Returns the `uint8` array of the IDX file at `path`, plain or gzip-compressed.

    Raises `DataError` where the file cannot be read, is damaged, or is not an IDX file of unsigned bytes. Memory is
    bounded by what the file really holds, whatever its header says.
    """
    with open_unpacked(path) as stream:
        shape = _read_header(stream, path)
        expected = math.prod(shape)
        # One byte more than expected, to see that the file ends there (and, of gzip data, to verify the checksum).
        body = _read_at_most(stream, expected + 1)
    if len(body) != expected:
        found = f"{len(body):,} follow" if len(body) < expected else "more follow"
        raise DataError(f"{path} is damaged: its header says {shape}, which is {expected:,} bytes, but {found}")
    return np.frombuffer(body, np.uint8).reshape(shape)


def digest(array: np.ndarray) -> str:
    """Returns the SHA-256, in hex, of the uncompressed IDX file that holds the `uint8` array.

    There is one such file only, so this is the digest of what `read` read, without a second pass over it.
    """
    sha = hashlib.sha256(_MAGIC + struct.pack(f">B{array.ndim}I", array.ndim, *array.shape))
    sha.update(np.ascontiguousarray(array).data)
    return sha.hexdigest()


def _read_header(stream: BinaryIO, path: str | os.PathLike[str]) -> tuple[int, ...]:
    magic = _read_at_most(stream, 4)
    if len(magic) < 4 or magic[:3] != _MAGIC or not 1 <= magic[3] <= _MAX_DIMENSIONS:
        raise DataError(
            f"{path} is not an IDX file of unsigned bytes: it starts with {magic.hex(' ') or 'nothing'}, expected "
            f"00 00 08 and the number of dimensions, 01 to {_MAX_DIMENSIONS:02}"
        )
    sizes = _read_at_most(stream, 4 * magic[3])
    if len(sizes) < 4 * magic[3]:
        raise DataError(f"{path} is damaged: it ends within its header, after {4 + len(sizes)} bytes")
    shape = struct.unpack(f">{magic[3]}I", sizes)
    if math.prod(max(size, 1) for size in shape) > _MAX_BYTES:
        raise DataError(f"{path} is damaged: its header says {shape}, more than {_MAX_BYTES:,} bytes")
    return shape


def _read_at_most(stream: BinaryIO, count: int) -> bytearray:
    # By blocks: read(count) would allocate `count` bytes, however few there are.
    content = bytearray()
    while len(content) < count and (block := stream.read(min(_BLOCK, count - len(content)))):
        content += block
    return content
