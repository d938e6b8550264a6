from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from idx_files import lookalike, write

from fmnist_jax.data import fashion_mnist, raw_files
from fmnist_jax.errors import DataError

REAL = os.environ.get("FMNIST_DATA_DIR")
needs_real = pytest.mark.skipif(not REAL, reason="needs the real data set: set FMNIST_DATA_DIR")


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with files of the right names and shapes, one of them unpacked, as none of them is the real one."""
    folder = tmp_path_factory.mktemp("original")
    for name, array in lookalike().items():
        write(folder / (name if name == fashion_mnist.TEST_IMAGES else f"{name}.gz"), array)
    return folder


@pytest.fixture
def folder(original: Path, tmp_path: Path) -> Iterator[Path]:
    return shutil.copytree(original, tmp_path / "data")


@pytest.fixture
def accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        fashion_mnist, "SHA256", {name: raw_files.idx_digest(array) for name, array in lookalike().items()}
    )


def read(folder: Path) -> tuple[fashion_mnist.Split, fashion_mnist.Split]:
    return fashion_mnist.read(raw_files.find(folder, fashion_mnist.SHA256))


@pytest.mark.usefixtures("accepted")
def test_reads_the_four_files_compressed_or_not(original):
    train, test = read(original)
    assert (train.labels == lookalike()[fashion_mnist.TRAIN_LABELS]).all()
    assert (test.labels == lookalike()[fashion_mnist.TEST_LABELS]).all()
    assert train.images.shape == (60_000, 28, 28)
    assert test.images.shape == (10_000, 28, 28)


def test_files_with_other_content_are_an_error_with_both_digests(original):
    expected = fashion_mnist.SHA256[fashion_mnist.TRAIN_IMAGES]
    with pytest.raises(DataError, match=f"train-images.* SHA-256 is [0-9a-f]{{64}}, expected {expected}"):
        read(original)


@pytest.mark.usefixtures("accepted")
@pytest.mark.parametrize("name", fashion_mnist.SHA256)
def test_one_changed_byte_is_an_error(folder, name):
    array = lookalike()[name].copy()
    array.reshape(-1)[-1] = 9 - array.reshape(-1)[-1]
    (folder / name).unlink(missing_ok=True)
    write(folder / f"{name}.gz", array)
    with pytest.raises(DataError, match=f"{name}.gz .*its SHA-256 is {raw_files.idx_digest(array)}"):
        read(folder)


@pytest.mark.usefixtures("accepted")
def test_another_shape_is_an_error(folder):
    write(folder / f"{fashion_mnist.TEST_LABELS}.gz", np.zeros(9_999, np.uint8))
    with pytest.raises(DataError, match=r"t10k-labels.* shape \(9999,\), expected \(10000,\)"):
        read(folder)


@pytest.mark.usefixtures("accepted")
def test_files_that_are_swapped_are_an_error(folder):
    write(folder / f"{fashion_mnist.TRAIN_LABELS}.gz", lookalike()[fashion_mnist.TEST_LABELS])
    with pytest.raises(DataError, match=r"train-labels.* shape \(10000,\), expected \(60000,\)"):
        read(folder)


@pytest.mark.usefixtures("accepted")
def test_a_label_out_of_range_is_an_error(folder):
    write(folder / f"{fashion_mnist.TEST_LABELS}.gz", np.full(10_000, 10, np.uint8))
    with pytest.raises(DataError, match="holds the label 10, expected 0 to 9"):
        read(folder)


@pytest.mark.usefixtures("accepted")
def test_a_truncated_file_is_an_error(folder):
    path = folder / f"{fashion_mnist.TRAIN_IMAGES}.gz"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match=f"{path} is damaged"):
        read(folder)


def test_missing_files_are_named_with_the_folders_content(folder):
    (folder / f"{fashion_mnist.TRAIN_LABELS}.gz").unlink()
    (folder / fashion_mnist.TEST_IMAGES).unlink()
    lacks = r"lacks train-labels-idx1-ubyte\[.gz\], t10k-images-idx3-ubyte\[.gz\] "
    with pytest.raises(DataError, match=lacks + r"\(it holds t10k-labels-idx1-ubyte.gz, train-images-idx3-ubyte.gz\)"):
        read(folder)


def test_an_empty_folder_is_reported_as_empty(tmp_path):
    with pytest.raises(DataError, match=r"\(it holds nothing\)"):
        read(tmp_path)


def test_a_few_names_of_a_full_folder_are_shown(tmp_path):
    for i in range(100):
        (tmp_path / f"{i:02}").touch()
    with pytest.raises(DataError, match=r"\(it holds 00, 01, 02, 03, 04, 05, 06, 07, ...\)"):
        read(tmp_path)


@pytest.mark.parametrize(("name", "problem"), [("none", "No such file"), ("file", "Not a directory")])
def test_a_path_that_is_not_a_folder_is_an_error(tmp_path, name, problem):
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=f"the data folder {tmp_path / name} cannot be read: {problem}"):
        read(tmp_path / name)


@needs_real
def test_the_real_data_set_is_accepted_and_has_its_known_properties():
    started = time.monotonic()
    train, test = read(Path(REAL))
    assert time.monotonic() - started < 5
    assert (np.bincount(train.labels) == 6_000).all()
    assert (np.bincount(test.labels) == 1_000).all()
    assert train.labels[:10].tolist() == [9, 0, 0, 3, 0, 2, 7, 2, 5, 5]
    assert train.images.mean() / 255 == pytest.approx(0.286041, abs=1e-6)
    assert train.images.std() / 255 == pytest.approx(0.353024, abs=1e-6)


@needs_real
def test_the_real_files_are_accepted_unpacked_too(tmp_path):
    for name, path in raw_files.find(Path(REAL), fashion_mnist.SHA256).items():
        write(tmp_path / name, raw_files.read_idx(path))
    assert len(read(tmp_path)[0]) == 60_000
