"""Data sets: sources, verification, the validation split, arrays on the device, and image files for prediction."""

from __future__ import annotations

from fmnist_jax.data.arrays import dataset_from_arrays
from fmnist_jax.data.dataset import FASHION_MNIST, SPLITS, Dataset, Description, Split
from fmnist_jax.data.sources import load, register_dataset

__all__ = [
    "FASHION_MNIST",
    "SPLITS",
    "Dataset",
    "Description",
    "Split",
    "dataset_from_arrays",
    "load",
    "register_dataset",
]
