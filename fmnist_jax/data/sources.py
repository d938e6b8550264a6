"""Loads the data set that `config.data.name` names; each built-in name has a function here, a user's own a loader."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
from ml_collections import ConfigDict

from fmnist_jax.config.registry import Registry
from fmnist_jax.data import kaggle_csv, published, raw_files
from fmnist_jax.data.arrays import dataset_from_arrays
from fmnist_jax.data.dataset import FASHION_MNIST, Dataset, hold_out
from fmnist_jax.data.http_stream import Limits
from fmnist_jax.data.published import PUBLISHED, Published
from fmnist_jax.errors import ConfigError, DataError

Loader: TypeAlias = Callable[[Path | None], Dataset]

_DIR_KEYS = "--config.data.dir or FMNIST_DATA_DIR"
_SET_DIR = f"set {_DIR_KEYS} to a folder with the four original files"
_AUTO_SECONDS = 30.0  # the longest that "auto" waits for a download
_FASHION = PUBLISHED[FASHION_MNIST.name]
_NAMED = ("idx", "npz")  # sources that take their class names from the config

DATASETS: Registry[Callable[[ConfigDict], Dataset]] = Registry("a data set", "config.data.name")


def register_dataset(name: str, loader: Loader) -> None:
    """Registers a data set of one's own, for `config.data.name`.

    **Arguments:**

    - `loader(folder)`: returns what `dataset_from_arrays` makes of its arrays. `folder` is the path that
      `config.data.dir`, else `$FMNIST_DATA_DIR`, names; `None` without either.

    **Raises:** `ValueError` for a built-in name. A second registration under the same name replaces the first.
    """

    def load_own(config: ConfigDict) -> Dataset:
        from fmnist_jax.runtime.user_code import user_code  # needs jax, which reading data otherwise does not

        with user_code(f"the loader of data set {name!r}"):
            dataset = loader(_folder(config))
        if not isinstance(dataset, Dataset):
            what = f"must return what dataset_from_arrays(...) does, not {type(dataset).__name__}"
            raise ConfigError(f"the loader of data set {name!r} {what}")
        return dataclasses.replace(dataset, description=dataclasses.replace(dataset.description, name=name))

    DATASETS.register(name, load_own)


def load(config: ConfigDict) -> Dataset:
    """Returns the verified data set that `config`, the section `data` of a config, names, with its validation split.

    Only `"auto"` ever replaces the data set, and prints that it does.

    **Arguments:**

    - `config.name`: a name in `DATASETS`. `"auto"` is Fashion-MNIST where it is found or can be downloaded within
      seconds, else the synthetic set.
    - `config.dir`: the folder with the files; where empty, `$FMNIST_DATA_DIR`; without either they are downloaded.
    - `config.val_examples`: training images to hold out for validation; 0: `val` is `test`.
    - `config.class_names`: of `"idx"` and `"npz"`.

    **Raises:** `DataError` where data are missing, damaged or cannot be downloaded, with a hint what to do;
    `ConfigError` where no data set has that name.
    """
    loader = DATASETS.get(config.name)
    if config.class_names and config.name not in _NAMED:
        raise ConfigError(f"config.data.class_names is for {' and '.join(_NAMED)}; {config.name} has names of its own")
    dataset = loader(config)
    if not config.val_examples:
        return dataset
    train, val = hold_out(dataset.train, config.val_examples)
    return dataclasses.replace(dataset, train=train, val=val)


def _folder(config: ConfigDict) -> Path | None:
    folder = config.dir or os.environ.get("FMNIST_DATA_DIR")
    return raw_files.expand_user(folder) if folder else None


def _published(source: Published, config: ConfigDict) -> Dataset:
    folder = _folder(config)
    if folder and not config.dir and source is not _FASHION and published.locate(source, folder) in (None, folder):
        folder = None  # the variable names a folder of Fashion-MNIST, without this data set in it
    synthetic = ", or use --config.data.name=synthetic" if source is _FASHION else ""
    if folder is not None:
        with _with_hint(f"{_SET_DIR}, or unset both to download them{synthetic}"):
            return published.read_folder(source, folder)
    with _with_hint(f"{_SET_DIR}{synthetic}"):
        paths = _cached_or_downloaded(source, Limits())
    return _from_cache(source, paths)


def _cached_or_downloaded(source: Published, limits: Limits) -> Mapping[str, Path]:
    cache = published.cache_folder()
    if paths := published.cached(cache, source.description.name):
        return paths
    try:
        from fmnist_jax.data import download
    except (ImportError, AttributeError) as error:  # where TFDS's own import fails, names are missing from it
        raise DataError(f"tensorflow-datasets, which downloads {source.title}, cannot be used ({error})") from None
    return download.fetch(cache, limits=limits, published=source)


def _from_cache(source: Published, paths: Mapping[str, Path]) -> Dataset:
    with _with_hint("delete that file to have it downloaded again"):
        return published.read_files(source, paths, str(published.cache_folder()))


def _idx(config: ConfigDict) -> Dataset:
    folder = _folder_of(config, "a folder with IDX files in MNIST's naming")
    within = folder / "raw" if (folder / "raw").is_dir() else folder
    with _with_hint(f"set {_DIR_KEYS} to a folder with the four files"):
        paths = raw_files.find(raw_files.holding(within, "*-ubyte*") or within, raw_files.IDX_FILES)
        arrays = [raw_files.read_idx(paths[name]) for name in raw_files.IDX_FILES]
    return _from_arrays(config, arrays, within)


def _npz(config: ConfigDict) -> Dataset:
    path = _folder_of(config, f"an .npz file with {', '.join(raw_files.NPZ_ARRAYS)}")
    if path.is_dir():
        inside = sorted(path.glob("*.npz"))
        if len(inside) != 1:
            raise DataError(f"{path} holds {len(inside)} .npz files; set {_DIR_KEYS} to the path of one")
        path = inside[0]
    arrays = raw_files.read_npz(path, raw_files.NPZ_ARRAYS)
    return _from_arrays(config, list(arrays.values()), path)


def _folder_of(config: ConfigDict, what: str) -> Path:
    folder = _folder(config)
    if folder is None:
        raise DataError(f"config.data.name={config.name} needs {_DIR_KEYS}: {what}")
    return folder


def _from_arrays(config: ConfigDict, arrays: Sequence[np.ndarray], path: Path) -> Dataset:
    x_train, y_train, x_test, y_test = arrays
    try:
        names = {"class_names": config.class_names, "name": config.name, "origin": str(path)}
        return dataset_from_arrays((x_train, y_train), (x_test, y_test), **names)
    except DataError as error:
        raise DataError(f"{path}: {error}") from None


def _csv(config: ConfigDict) -> Dataset:
    names = (kaggle_csv.TRAIN, kaggle_csv.TEST)
    folder = _folder_of(config, f"a folder with {' and '.join(names)}")
    with _with_hint(f"set {_DIR_KEYS} to a folder with the two CSV files, or use --config.data.name=fashion_mnist"):
        paths = raw_files.find(raw_files.holding(folder, "*.csv*") or folder, names)
        (train, train_digest), (test, test_digest) = (kaggle_csv.read(paths[name]) for name in names)
    digests = dict(zip(names, (train_digest, test_digest), strict=True))
    return Dataset(dataclasses.replace(FASHION_MNIST, name="csv"), train, test, test, str(folder), digests)


def _synthetic(config: ConfigDict) -> Dataset:
    from fmnist_jax.data.synthetic import generate  # only this source needs its modules

    train, test = generate()
    digests = {}
    for name, split in (("train", train), ("test", test)):
        digests[f"{name}-images"] = raw_files.idx_digest(split.images)
        digests[f"{name}-labels"] = raw_files.idx_digest(split.labels)
    return Dataset(dataclasses.replace(FASHION_MNIST, name="synthetic"), train, test, test, "built in", digests)


def _auto(config: ConfigDict) -> Dataset:
    folder = _folder(config)
    if folder is not None:  # the user named it: never replace it by other data, whatever is wrong with it
        only_csv = raw_files.holding(folder, "*.csv*") and not published.locate(_FASHION, folder)
        return _csv(config) if only_csv else _published(_FASHION, config)
    try:
        paths = _cached_or_downloaded(_FASHION, Limits(deadline=time.monotonic() + _AUTO_SECONDS))
    except DataError as error:
        warning = "SYNTHETIC data in place of Fashion-MNIST: no result of this run is about the real data set"
        print(f"{warning}. {error}. For the real one, {_SET_DIR}, or connect to the network.", file=sys.stderr)
        return _synthetic(config)
    return _from_cache(_FASHION, paths)


@contextlib.contextmanager
def _with_hint(hint: str) -> Iterator[None]:
    """Appends `hint` to the message of a `DataError`."""
    try:
        yield
    except DataError as error:
        raise DataError(f"{error}; {hint}") from None


for _name, _source in PUBLISHED.items():
    DATASETS.register(_name, functools.partial(_published, _source))
for _name, _load in {"csv": _csv, "idx": _idx, "npz": _npz, "synthetic": _synthetic, "auto": _auto}.items():
    DATASETS.register(_name, _load)
DATASETS.protect()
