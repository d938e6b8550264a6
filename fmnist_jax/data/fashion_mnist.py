"""Fashion-MNIST (Xiao, Rasul, Vollgraf 2017, arXiv:1708.07747) from its four original files, verified.

Each file may be plain or gzip-compressed, by any tool: the digests are those of the unpacked content.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from fmnist_jax.data.dataset import FASHION_MNIST, Split
from fmnist_jax.data.raw_files import expand_user, idx_digest, read_idx
from fmnist_jax.errors import DataError

TRAIN_IMAGES, TRAIN_LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
TEST_IMAGES, TEST_LABELS = "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"

# Of the unpacked files.
SHA256: Mapping[str, str] = {
    TRAIN_IMAGES: "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    TRAIN_LABELS: "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    TEST_IMAGES: "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    TEST_LABELS: "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}
_SHAPES = {
    TRAIN_IMAGES: (60_000, *FASHION_MNIST.image_shape[:2]),
    TRAIN_LABELS: (60_000,),
    TEST_IMAGES: (10_000, *FASHION_MNIST.image_shape[:2]),
    TEST_LABELS: (10_000,),
}


def read(files: Mapping[str, Path]) -> tuple[Split, Split]:
    """Returns the training and the test split from the four files, name (as in `SHA256`) -> path.

    **Raises:** `DataError` where an unpacked file is not, byte for byte, the published one.
    """
    arrays = {name: _read_verified(name, files[name]) for name in SHA256}
    return Split(arrays[TRAIN_IMAGES], arrays[TRAIN_LABELS]), Split(arrays[TEST_IMAGES], arrays[TEST_LABELS])


def _read_verified(name: str, path: Path) -> np.ndarray:
    array = read_idx(path)
    if array.shape != _SHAPES[name]:
        raise DataError(f"{path} holds an array of shape {array.shape}, expected {_SHAPES[name]}")
    if array.ndim == 1 and array.max() >= FASHION_MNIST.num_classes:
        raise DataError(f"{path} holds the label {array.max()}, expected 0 to {FASHION_MNIST.num_classes - 1}")
    found = idx_digest(array)
    if found != SHA256[name]:
        raise DataError(
            f"{path} is not Fashion-MNIST's (MNIST's files have the same names): unpacked, its SHA-256 is {found}, "
            f"expected {SHA256[name]}"
        )
    return array


def cache_folder() -> Path:
    """Returns TFDS's folder of downloads: `$TFDS_DATA_DIR/downloads`, else `~/tensorflow_datasets/downloads`."""
    return expand_user(os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets") / "downloads"


def cached(cache: Path) -> dict[str, Path] | None:
    """Returns the paths of the four files in `cache`, named as in `SHA256`; `None` unless all are there.

    TFDS calls them `<address><checksum>.gz`. They are not verified.
    """
    found = {name: sorted((cache / "fashion_mnist").glob(f"*{name}*.gz")) for name in SHA256}
    return {name: paths[0] for name, paths in found.items()} if all(found.values()) else None
