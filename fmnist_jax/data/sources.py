"""Loads the data set that `config.data.name` names; each name has a function here."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from ml_collections import ConfigDict

from fmnist_jax.data import fashion_mnist, kaggle_csv, raw_files
from fmnist_jax.data.dataset import FASHION_MNIST, Dataset, hold_out
from fmnist_jax.data.http_stream import Limits
from fmnist_jax.errors import DataError, unknown_name

_DIR_KEYS = "--config.data.dir or FMNIST_DATA_DIR"
_SET_DIR = f"set {_DIR_KEYS} to a folder with the four original files"
_AUTO_SECONDS = 30.0  # the longest that "auto" waits for a download


def load(config: ConfigDict) -> Dataset:
    """Returns the verified data set that `config`, the section `data` of a config, names, with its validation split.

    Only `"auto"` ever replaces the data set, and prints that it does.

    **Arguments:**

    - `config.name`: `"fashion_mnist"`, `"csv"`, `"synthetic"`, or `"auto"`: Fashion-MNIST where it is found or can be
      downloaded within seconds, else the synthetic set.
    - `config.dir`: the folder with the files; where empty, `$FMNIST_DATA_DIR`; without either they are downloaded.
    - `config.val_examples`: training images to hold out for validation; 0: `val` is `test`.

    **Raises:** `DataError` where data are missing, damaged or cannot be downloaded, with a hint what to do;
    `ConfigError` where no data set has that name.
    """
    if config.name not in _SOURCES:
        raise unknown_name("config.data.name", config.name, _SOURCES)
    folder = config.dir or os.environ.get("FMNIST_DATA_DIR")
    dataset = _SOURCES[config.name](raw_files.expand_user(folder) if folder else None)
    if not config.val_examples:
        return dataset
    train, val = hold_out(dataset.train, config.val_examples)
    return dataclasses.replace(dataset, train=train, val=val)


def _fashion_mnist(folder: Path | None) -> Dataset:
    synthetic = "or use --config.data.name=synthetic"
    if folder is not None:
        with _with_hint(f"{_SET_DIR}, or unset both to download them, {synthetic}"):
            return _read(raw_files.find(folder, fashion_mnist.SHA256), str(folder))
    with _with_hint(f"{_SET_DIR}, {synthetic}"):
        paths = _cached_or_downloaded(Limits())
    return _from_cache(paths)


def _cached_or_downloaded(limits: Limits) -> Mapping[str, Path]:
    cache = fashion_mnist.cache_folder()
    if paths := fashion_mnist.cached(cache):
        return paths
    try:
        from fmnist_jax.data import download
    except (ImportError, AttributeError) as error:  # where TFDS's own import fails, names are missing from it
        raise DataError(f"tensorflow-datasets, which downloads Fashion-MNIST, cannot be used ({error})") from None
    return download.fetch(cache, limits=limits)


def _from_cache(paths: Mapping[str, Path]) -> Dataset:
    with _with_hint("delete that file to have it downloaded again"):
        return _read(paths, str(fashion_mnist.cache_folder()))


def _read(paths: Mapping[str, Path], origin: str) -> Dataset:
    train, test = fashion_mnist.read(paths)
    return Dataset(FASHION_MNIST, train, test, test, origin, dict(fashion_mnist.SHA256))


def _csv(folder: Path | None) -> Dataset:
    names = (kaggle_csv.TRAIN, kaggle_csv.TEST)
    if folder is None:
        raise DataError(f"config.data.name=csv needs {_DIR_KEYS}: a folder with {' and '.join(names)}")
    with _with_hint(f"set {_DIR_KEYS} to a folder with the two CSV files, or use --config.data.name=fashion_mnist"):
        paths = raw_files.find(folder, names)
        (train, train_digest), (test, test_digest) = (kaggle_csv.read(paths[name]) for name in names)
    digests = dict(zip(names, (train_digest, test_digest), strict=True))
    return Dataset(dataclasses.replace(FASHION_MNIST, name="csv"), train, test, test, str(folder), digests)


def _synthetic(folder: Path | None) -> Dataset:
    from fmnist_jax.data.synthetic import generate  # only this source needs its modules

    train, test = generate()
    digests = {}
    for name, split in (("train", train), ("test", test)):
        digests[f"{name}-images"] = raw_files.idx_digest(split.images)
        digests[f"{name}-labels"] = raw_files.idx_digest(split.labels)
    return Dataset(dataclasses.replace(FASHION_MNIST, name="synthetic"), train, test, test, "built in", digests)


def _auto(folder: Path | None) -> Dataset:
    if folder is not None:  # the user named it: never replace it by other data, whatever is wrong with it
        only_csv = any(folder.glob("*.csv*")) and not any(folder.glob("*-ubyte*"))
        return _csv(folder) if only_csv else _fashion_mnist(folder)
    try:
        paths = _cached_or_downloaded(Limits(deadline=time.monotonic() + _AUTO_SECONDS))
    except DataError as error:
        warning = "SYNTHETIC data in place of Fashion-MNIST: no result of this run is about the real data set"
        print(f"{warning}. {error}. For the real one, {_SET_DIR}, or connect to the network.", file=sys.stderr)
        return _synthetic(None)
    return _from_cache(paths)


@contextlib.contextmanager
def _with_hint(hint: str) -> Iterator[None]:
    """Appends `hint` to the message of a `DataError`."""
    try:
        yield
    except DataError as error:
        raise DataError(f"{error}; {hint}") from None


_SOURCES: Mapping[str, Callable[[Path | None], Dataset]] = {
    "fashion_mnist": _fashion_mnist,
    "csv": _csv,
    "synthetic": _synthetic,
    "auto": _auto,
}
