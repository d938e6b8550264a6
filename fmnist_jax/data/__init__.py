"""Data sets: sources, verification, the validation split, arrays on the device, and image files for prediction."""

from __future__ import annotations

from fmnist_jax.data.dataset import (
    CLASS_NAMES,
    FASHION_MNIST,
    IMAGE_SIZE,
    NUM_CLASSES,
    SPLITS,
    Dataset,
    Description,
    Split,
)
from fmnist_jax.data.sources import load

__all__ = [
    "CLASS_NAMES",
    "FASHION_MNIST",
    "IMAGE_SIZE",
    "NUM_CLASSES",
    "SPLITS",
    "Dataset",
    "Description",
    "Split",
    "load",
]
