"""Loads the data set that a config names."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from ml_collections import ConfigDict

from fmnist_jax.data import download, fashion_mnist, files, idx, kaggle_csv, splits
from fmnist_jax.data.dataset import Dataset
from fmnist_jax.data.http_stream import Limits
from fmnist_jax.errors import ConfigError, DataError, did_you_mean

_FOLDER = "--config.data.dir or FMNIST_DATA_DIR"
_SET_FOLDER = f"set {_FOLDER} to a folder with the four original files"
_AUTO_SECONDS = 30.0  # "auto" gives a download no more than this


def load(config: ConfigDict) -> Dataset:
    """Returns the verified data set that `config`, the section `data` of a config, names, with its validation split.

    Raises `DataError` where data are missing, damaged or cannot be fetched, with the way out, and `ConfigError` where
    no data set has that name. Only `"auto"` ever takes other data than those named, and says so.

    **Arguments:**

    - `config.name`: `"fashion_mnist"`, `"csv"`, `"synthetic"`, or `"auto"`: Fashion-MNIST where it is at hand or can be
      fetched within seconds, else the synthetic set.
    - `config.dir`: the folder with the files; where empty, `$FMNIST_DATA_DIR`; without either they are downloaded.
    - `config.val_examples`: training images to hold out for validation; 0: `val` is `test`.
    """
    if config.name not in _SOURCES:
        nearest = did_you_mean(config.name, _SOURCES)
        raise ConfigError(f"config.data.name must be one of {', '.join(_SOURCES)}, not {config.name!r}{nearest}")
    named = config.dir or os.environ.get("FMNIST_DATA_DIR")
    dataset = _SOURCES[config.name](files.expanded(named) if named else None)
    if not config.val_examples:
        return dataset
    train, val = splits.stratified(dataset.train, config.val_examples)
    return dataclasses.replace(dataset, train=train, val=val)


def _fashion_mnist(folder: Path | None) -> Dataset:
    if folder is not None:
        return _original_files(folder)
    with _way_out(f"{_SET_FOLDER}, or take --config.data.name=synthetic"):
        paths = _fetched(Limits())
    return _from_cache(paths)


def _original_files(folder: Path) -> Dataset:
    with _way_out(f"{_SET_FOLDER}, or unset both to download them, or take --config.data.name=synthetic"):
        return _read(files.find(folder, fashion_mnist.SHA256), str(folder))


def _fetched(limits: Limits) -> Mapping[str, Path]:
    cache = download.cache_folder()
    return download.cached(cache) or download.fetch(cache, limits=limits)


def _from_cache(paths: Mapping[str, Path]) -> Dataset:
    with _way_out("delete that file to have it downloaded again"):
        return _read(paths, str(download.cache_folder()))


def _read(paths: Mapping[str, Path], origin: str) -> Dataset:
    train, test = fashion_mnist.read(paths)
    return Dataset("fashion_mnist", train, test, test, origin, dict(fashion_mnist.SHA256))


def _csv(folder: Path | None) -> Dataset:
    names = (kaggle_csv.TRAIN, kaggle_csv.TEST)
    if folder is None:
        raise DataError(f"config.data.name=csv needs {_FOLDER}: a folder with {' and '.join(names)}")
    with _way_out(f"set {_FOLDER} to a folder with the two CSV files, or take --config.data.name=fashion_mnist"):
        paths = files.find(folder, names)
        (train, train_digest), (test, test_digest) = (kaggle_csv.read(paths[name]) for name in names)
    digests = dict(zip(names, (train_digest, test_digest), strict=True))
    return Dataset("csv", train, test, test, str(folder), digests)


def _synthetic(folder: Path | None) -> Dataset:
    from fmnist_jax.data.synthetic import generate  # its modules are needed for this one source only

    train, test = generate()
    arrays = {
        "train-images": train.images,
        "train-labels": train.labels,
        "test-images": test.images,
        "test-labels": test.labels,
    }
    return Dataset("synthetic", train, test, test, "built in", {name: idx.digest(arrays[name]) for name in arrays})


def _auto(folder: Path | None) -> Dataset:
    if folder is not None:  # named by the user: what is wrong with it is an error, no reason for other data
        only_csv = any(folder.glob("*.csv*")) and not any(folder.glob("*-ubyte*"))
        return _csv(folder) if only_csv else _original_files(folder)
    try:
        paths = _fetched(Limits(deadline=time.monotonic() + _AUTO_SECONDS))
    except DataError as error:
        notice = "SYNTHETIC data in place of Fashion-MNIST: no figure of this run says anything about the real data set"
        print(f"{notice}. {error}. To have the real one, {_SET_FOLDER}, or connect to the network.", file=sys.stderr)
        return _synthetic(None)
    return _from_cache(paths)


@contextlib.contextmanager
def _way_out(advice: str) -> Iterator[None]:
    """Adds `advice` to the message of a `DataError`."""
    try:
        yield
    except DataError as error:
        raise DataError(f"{error}; {advice}") from None


_SOURCES: Mapping[str, Callable[[Path | None], Dataset]] = {
    "fashion_mnist": _fashion_mnist,
    "csv": _csv,
    "synthetic": _synthetic,
    "auto": _auto,
}
