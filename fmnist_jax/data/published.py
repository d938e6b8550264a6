"""Published data sets from their four original IDX files, or from other files of the same arrays, verified.

Fashion-MNIST (Xiao, Rasul, Vollgraf 2017, arXiv:1708.07747), MNIST (LeCun, Cortes, Burges 1998) and Kuzushiji-MNIST
(Clanuwat et al. 2018, arXiv:1812.01718) have the same files, shapes and number of images.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from fmnist_jax.data import parquet
from fmnist_jax.data.dataset import FASHION_MNIST, Dataset, Description, Split
from fmnist_jax.data.raw_files import (
    IDX_FILES,
    NPZ_ARRAYS,
    Found,
    expand_user,
    find,
    holding,
    idx_digest,
    read_idx,
    read_npz,
)
from fmnist_jax.errors import DataError

TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS = IDX_FILES
_IDX = "*-ubyte*"
_EXAMPLES = {TRAIN_IMAGES: 60_000, TRAIN_LABELS: 60_000, TEST_IMAGES: 10_000, TEST_LABELS: 10_000}


@dataclasses.dataclass(frozen=True)
class Published:
    """A published data set.

    **Attributes:**

    - `title`: its name in messages; `description`: its `name` is that in TensorFlow Datasets.
    - `folder`: what torchvision calls it: it keeps the files in `<folder>/raw`.
    - `sha256`: of the unpacked files, by name; with `packed`, of the compressed ones, as TensorFlow Datasets has them.
    """

    title: str
    description: Description
    folder: str
    sha256: Mapping[str, str]
    packed: bool = False


_DIGITS = Description("mnist", tuple(map(str, range(10))), (28, 28, 1), margin=4)
_HIRAGANA = Description("kmnist", ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"), (28, 28, 1), margin=0)

PUBLISHED: Mapping[str, Published] = {
    "fashion_mnist": Published(
        "Fashion-MNIST",
        FASHION_MNIST,
        "FashionMNIST",
        {
            TRAIN_IMAGES: "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            TRAIN_LABELS: "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            TEST_IMAGES: "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            TEST_LABELS: "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        },
    ),
    "mnist": Published(
        "MNIST",
        _DIGITS,
        "MNIST",
        {
            TRAIN_IMAGES: "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            TRAIN_LABELS: "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            TEST_IMAGES: "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            TEST_LABELS: "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        },
    ),
    "kmnist": Published(
        "Kuzushiji-MNIST",
        _HIRAGANA,
        "KMNIST",
        {
            TRAIN_IMAGES: "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
            TRAIN_LABELS: "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17",
            TEST_IMAGES: "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5",
            TEST_LABELS: "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c",
        },
        packed=True,
    ),
}


def read_folder(published: Published, folder: Path) -> Dataset:
    """Returns the data set from a folder: its four files, each plain or gzip-compressed, or other files of its arrays.

    These are a zip archive with the four files, as from Kaggle, Keras's `<name>.npz` or the Parquet files of the
    Hugging Face Hub. They may lie in the folder itself, in a folder of the data set's name in it, or where torchvision
    keeps them. The archive may also be given as the folder.

    **Raises:** `DataError` where they are missing, damaged or not, byte for byte, the published ones.
    """
    within = locate(published, folder) or folder
    if archive := _archive(published, within):
        arrays = read_npz(archive, NPZ_ARRAYS)
        return _from_arrays(published, arrays.values(), [archive] * len(arrays), str(within))
    if tables := _tables(within):
        height, width, _ = published.description.image_shape
        sizes = _EXAMPLES[TRAIN_IMAGES], _EXAMPLES[TEST_IMAGES]
        read = [parquet.read(path, (size, height, width)) for path, size in zip(tables, sizes, strict=True)]
        return _from_arrays(published, itertools.chain(*read), [path for path in tables for _ in range(2)], str(within))
    holder = holding(within, _IDX) or within
    return read_files(published, find(holder, IDX_FILES), str(holder))


def locate(published: Published, folder: Path) -> Path | None:
    """Returns the folder with the files of the data set, `folder` or one in it; `None` where there is none."""
    name = published.description.name
    inside = (f"{published.folder}/raw", "raw", published.folder, name, name.replace("_", "-"))
    # Those in it first: the files of another data set, which have the same names, may lie in the folder itself.
    candidates = [folder / each for each in inside] + [folder]
    return next((path for path in candidates if _holds(published, path)), None)


def _holds(published: Published, folder: Path) -> bool:
    return bool(holding(folder, _IDX) or _archive(published, folder) or _tables(folder))


def _archive(published: Published, folder: Path) -> Path | None:
    name = published.description.name
    paths = [folder / f"{each}.npz" for each in (name, name.replace("_", "-"))]
    return next((path for path in paths if path.is_file()), None)


def _tables(folder: Path) -> list[Path]:
    paths = [folder / parquet.TRAIN, folder / parquet.TEST]
    return paths if any(path.is_file() for path in paths) else []


def read_files(published: Published, files: Mapping[str, Found], origin: str) -> Dataset:
    """Returns the data set from its four files, name (as in `IDX_FILES`) -> path; raises as `read_folder` does."""
    arrays = {name: _verified(published, name, read_idx(files[name]), files[name]) for name in IDX_FILES}
    return _dataset(published, arrays, origin)


def _from_arrays(published: Published, arrays: Iterable[np.ndarray], files: Iterable[Path], origin: str) -> Dataset:
    """The data set of arrays in the order of `IDX_FILES`, each with the file that it is from."""
    if published.packed:
        raise DataError(f"{origin} holds no files that can be verified; give {published.title}'s original ones")
    each = zip(IDX_FILES, arrays, files, strict=True)
    return _dataset(published, {name: _verified(published, name, array, path) for name, array, path in each}, origin)


def _dataset(published: Published, arrays: Mapping[str, np.ndarray], origin: str) -> Dataset:
    train, test = Split(arrays[TRAIN_IMAGES], arrays[TRAIN_LABELS]), Split(arrays[TEST_IMAGES], arrays[TEST_LABELS])
    digests = {name: idx_digest(array) for name, array in arrays.items()} if published.packed else published.sha256
    return Dataset(published.description, train, test, test, origin, dict(digests))


def _verified(published: Published, name: str, array: np.ndarray, path: Found) -> np.ndarray:
    classes = published.description.num_classes
    shape = (_EXAMPLES[name], *(published.description.array_shape if "images" in name else ()))
    if array.shape != shape:
        raise DataError(f"{path} holds an array of shape {array.shape}, expected {shape}")
    if array.dtype != np.uint8:
        raise DataError(f"{path} holds an array of {array.dtype}, expected uint8")
    if array.ndim == 1 and array.max() >= classes:
        raise DataError(f"{path} holds the label {array.max()}, expected 0 to {classes - 1}")
    found = hashlib.sha256(path.read_bytes()).hexdigest() if published.packed else idx_digest(array)
    if found != published.sha256[name]:
        how = "compressed as published" if published.packed else "unpacked"
        raise DataError(
            f"{path} is not {published.title}'s (MNIST and its successors have files of the same names): {how}, its "
            f"SHA-256 is {found}, expected {published.sha256[name]}; config.data.name=idx takes any such files"
        )
    return array


def cache_folder() -> Path:
    """Returns TFDS's folder of downloads: `$TFDS_DATA_DIR/downloads`, else `~/tensorflow_datasets/downloads`."""
    return expand_user(os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets") / "downloads"


def cached(cache: Path, name: str = FASHION_MNIST.name) -> dict[str, Path] | None:
    """Returns the paths of the data set's four files in `cache`, by `IDX_FILES`; `None` unless all are there.

    TFDS calls them `<address><checksum>.gz`. They are not verified.
    """
    found = {file: sorted((cache / name).glob(f"*{file}*.gz")) for file in IDX_FILES}
    return {file: paths[0] for file, paths in found.items()} if all(found.values()) else None
