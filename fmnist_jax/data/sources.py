"""Loads the data set that a config names."""

from __future__ import annotations

import os

from ml_collections import ConfigDict

from fmnist_jax.data import fashion_mnist, splits
from fmnist_jax.data.dataset import Dataset
from fmnist_jax.errors import DataError


def load(config: ConfigDict) -> Dataset:
    """Returns the verified data set of `config`, the `data` section of a config: `name`, `dir`, `val_examples`."""
    folder = config.dir or os.environ.get("FMNIST_DATA_DIR", "")
    if not folder:
        raise DataError("set --config.data.dir or FMNIST_DATA_DIR")
    train, test = fashion_mnist.read(fashion_mnist.find(folder))
    val = test
    if config.val_examples:
        train, val = splits.stratified(train, config.val_examples)
    return Dataset("fashion_mnist", train, val, test, str(folder), dict(fashion_mnist.SHA256))
