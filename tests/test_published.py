from __future__ import annotations

import hashlib
import os
import shutil
import time
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import parquet_files
import pytest
from idx_files import encode, lookalike, write

from fmnist_jax.data import Dataset, parquet, published, raw_files
from fmnist_jax.data.download import registered
from fmnist_jax.data.published import PUBLISHED, TEST_IMAGES, TEST_LABELS, TRAIN_IMAGES, TRAIN_LABELS, read_folder
from fmnist_jax.data.raw_files import IDX_FILES
from fmnist_jax.errors import DataError

REAL = os.environ.get("FMNIST_DATA_DIR")
FASHION, MNIST, KMNIST = (PUBLISHED[name] for name in ("fashion_mnist", "mnist", "kmnist"))
needs_real = pytest.mark.skipif(not REAL, reason="needs the real data set: set FMNIST_DATA_DIR")


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with files of the right names and shapes, one of them unpacked, as none of them is the real one."""
    folder = tmp_path_factory.mktemp("original")
    for name, array in lookalike().items():
        write(folder / (name if name == TEST_IMAGES else f"{name}.gz"), array)
    return folder


@pytest.fixture
def folder(original: Path, tmp_path: Path) -> Iterator[Path]:
    return shutil.copytree(original, tmp_path / "data")


@pytest.fixture
def accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, array in lookalike().items():
        for each in (FASHION, MNIST):
            monkeypatch.setitem(each.sha256, name, raw_files.idx_digest(array))


def read(folder: Path) -> Dataset:
    return read_folder(FASHION, folder)


@pytest.mark.usefixtures("accepted")
def test_reads_the_four_files_compressed_or_not(original):
    dataset = read(original)
    train, test = dataset.train, dataset.test
    assert (train.labels == lookalike()[TRAIN_LABELS]).all()
    assert (test.labels == lookalike()[TEST_LABELS]).all()
    assert train.images.shape == (60_000, 28, 28)
    assert test.images.shape == (10_000, 28, 28)


def test_files_with_other_content_are_an_error_with_both_digests(original):
    expected = FASHION.sha256[TRAIN_IMAGES]
    with pytest.raises(DataError, match=f"train-images.* SHA-256 is [0-9a-f]{{64}}, expected {expected}"):
        read(original)


@pytest.mark.usefixtures("accepted")
@pytest.mark.parametrize("name", IDX_FILES)
def test_one_changed_byte_is_an_error(folder, name):
    array = lookalike()[name].copy()
    array.reshape(-1)[-1] = 9 - array.reshape(-1)[-1]
    (folder / name).unlink(missing_ok=True)
    write(folder / f"{name}.gz", array)
    with pytest.raises(DataError, match=f"{name}.gz .*its SHA-256 is {raw_files.idx_digest(array)}"):
        read(folder)


@pytest.mark.usefixtures("accepted")
def test_another_shape_is_an_error(folder):
    write(folder / f"{TEST_LABELS}.gz", np.zeros(9_999, np.uint8))
    with pytest.raises(DataError, match=r"t10k-labels.* shape \(9999,\), expected \(10000,\)"):
        read(folder)


@pytest.mark.usefixtures("accepted")
def test_files_that_are_swapped_are_an_error(folder):
    write(folder / f"{TRAIN_LABELS}.gz", lookalike()[TEST_LABELS])
    with pytest.raises(DataError, match=r"train-labels.* shape \(10000,\), expected \(60000,\)"):
        read(folder)


@pytest.mark.usefixtures("accepted")
def test_a_label_out_of_range_is_an_error(folder):
    write(folder / f"{TEST_LABELS}.gz", np.full(10_000, 10, np.uint8))
    with pytest.raises(DataError, match="holds the label 10, expected 0 to 9"):
        read(folder)


@pytest.mark.usefixtures("accepted")
def test_a_truncated_file_is_an_error(folder):
    path = folder / f"{TRAIN_IMAGES}.gz"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match=f"{path} is damaged"):
        read(folder)


def test_missing_files_are_named_with_the_folders_content(folder):
    (folder / f"{TRAIN_LABELS}.gz").unlink()
    (folder / TEST_IMAGES).unlink()
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
    dataset = read(Path(REAL))
    train, test = dataset.train, dataset.test
    assert time.monotonic() - started < 5
    assert (np.bincount(train.labels) == 6_000).all()
    assert (np.bincount(test.labels) == 1_000).all()
    assert train.labels[:10].tolist() == [9, 0, 0, 3, 0, 2, 7, 2, 5, 5]
    assert train.images.mean() / 255 == pytest.approx(0.286041, abs=1e-6)
    assert train.images.std() / 255 == pytest.approx(0.353024, abs=1e-6)


@needs_real
def test_the_real_files_are_accepted_unpacked_too(tmp_path):
    for name, path in raw_files.find(Path(REAL), IDX_FILES).items():
        write(tmp_path / name, raw_files.read_idx(path))
    assert len(read(tmp_path).train) == 60_000


def test_the_digests_of_packed_files_are_those_of_tfds():
    assert KMNIST.sha256 == {name: remote.sha256 for name, remote in registered("kmnist").items()}


@pytest.mark.usefixtures("accepted")
@pytest.mark.parametrize(
    ("beneath", "given"),
    [("FashionMNIST/raw", ""), ("FashionMNIST/raw", "FashionMNIST"), ("fashion-mnist", ""), ("fashion_mnist", "")],
)
def test_files_lie_where_torchvision_or_keras_keep_them(original, tmp_path, beneath, given):
    shutil.copytree(original, tmp_path / beneath)
    dataset = read(tmp_path / given)
    assert (len(dataset.train), dataset.origin) == (60_000, str(tmp_path / beneath))


@pytest.mark.usefixtures("accepted")
def test_two_data_sets_in_one_folder(original, tmp_path):
    shutil.copytree(original, tmp_path / "FashionMNIST" / "raw")
    shutil.copytree(original, tmp_path / "MNIST" / "raw")
    assert read_folder(FASHION, tmp_path).name == "fashion_mnist"
    dataset = read_folder(MNIST, tmp_path)
    assert (dataset.name, dataset.origin) == ("mnist", str(tmp_path / "MNIST" / "raw"))
    assert dataset.description.class_names[3] == "3"


def _write_archive(path: Path, **changes: np.ndarray) -> Path:
    arrays = dict(zip(raw_files.NPZ_ARRAYS, (lookalike()[name] for name in IDX_FILES), strict=True))
    np.savez(path, **(arrays | changes))
    return path


@pytest.mark.usefixtures("accepted")
@pytest.mark.parametrize("name", ["fashion_mnist.npz", "fashion-mnist.npz"])
def test_an_archive_is_verified_as_the_files_are(tmp_path, name):
    _write_archive(tmp_path / name)
    assert read(tmp_path).digests == FASHION.sha256
    labels = lookalike()[TEST_LABELS].copy()
    labels[0] = 9 - labels[0]
    _write_archive(tmp_path / name, y_test=labels)
    with pytest.raises(DataError, match=f"{name} is not Fashion-MNIST's"):
        read(tmp_path)
    _write_archive(tmp_path / name, y_test=labels.astype(np.int64))
    with pytest.raises(DataError, match=r"int64"):
        read(tmp_path)


def test_an_archive_that_is_damaged_or_lacks_an_array_is_an_error(tmp_path):
    path = tmp_path / "fashion_mnist.npz"
    np.savez(path, x_train=np.zeros(3), y_train=np.zeros(3))
    with pytest.raises(DataError, match=r"lacks x_test, y_test \(it holds x_train, y_train\)"):
        read(tmp_path)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(DataError, match="is damaged: it is no archive of arrays"):
        read(tmp_path)
    with path.open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(DataError, match="holds a single array; expected an archive with x_train"):
        read(tmp_path)


def _zip(path: Path, names: Sequence[str] = IDX_FILES) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("fashion-mnist_train.csv", "label")
        for name in names:
            archive.writestr(name, encode(lookalike()[name]))
    return path


@pytest.mark.usefixtures("accepted")
def test_the_files_may_lie_in_a_zip_archive_as_from_kaggle(tmp_path):
    archive = _zip(tmp_path / "archive.zip")
    for folder in (archive, tmp_path):
        dataset = read(folder)
        assert (dataset.digests, dataset.origin) == (FASHION.sha256, str(archive))
        assert (dataset.test.labels == lookalike()[TEST_LABELS]).all()


def test_a_zip_archive_of_other_files_is_an_error(tmp_path):
    archive = _zip(tmp_path / "archive.zip")
    with pytest.raises(DataError, match=f"{archive}/{TRAIN_IMAGES} is not Fashion-MNIST's"):
        read(archive)
    _zip(archive, IDX_FILES[:3])
    with pytest.raises(
        DataError, match=rf"{archive} lacks {TEST_LABELS}\[.gz\] \(it holds fashion-mnist_train.csv, t10k"
    ):
        read(tmp_path)


def test_a_damaged_zip_archive_is_an_error(tmp_path):
    archive = _zip(tmp_path / "archive.zip")
    content = archive.read_bytes()
    archive.write_bytes(content[:2000] + b"\xff" * (len(content) - 4000) + content[-2000:])
    with pytest.raises(DataError, match=f"{archive}/{TRAIN_IMAGES} is damaged: its compressed data cannot be unpacked"):
        read(archive)
    archive.write_bytes(content[:-100])
    for folder in (archive, tmp_path):
        with pytest.raises(DataError, match=f"{archive} is damaged: it is no zip archive"):
            read(folder)


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> dict[str, np.ndarray]:
    """The arrays of a smaller data set, which is taken for the published one."""
    arrays = {name: array[:20] if "train" in name else array[:10] for name, array in lookalike().items()}
    arrays[TRAIN_IMAGES] = np.random.default_rng(0).integers(0, 256, (20, 28, 28), np.uint8)
    for name, array in arrays.items():
        monkeypatch.setitem(published._EXAMPLES, name, len(array))
        monkeypatch.setitem(FASHION.sha256, name, raw_files.idx_digest(array))
    return arrays


@pytest.mark.parametrize(("beneath", "given"), [("fashion_mnist", ""), ("fashion_mnist", "fashion_mnist"), ("", "")])
def test_parquet_files_are_verified_as_the_files_are(few, tmp_path, beneath, given):
    folder = tmp_path / beneath
    folder.mkdir(exist_ok=True)
    parquet_files.write(folder / parquet.TRAIN, few[TRAIN_IMAGES], few[TRAIN_LABELS])
    with pytest.raises(DataError, match=f"{parquet.TEST} cannot be read: No such file"):
        read(tmp_path / given)
    parquet_files.write(folder / parquet.TEST, few[TEST_IMAGES], few[TEST_LABELS])
    dataset = read(tmp_path / given)
    assert (dataset.digests, dataset.origin) == (FASHION.sha256, str(folder))
    assert (dataset.train.images == few[TRAIN_IMAGES]).all()
    parquet_files.write(folder / parquet.TEST, few[TEST_IMAGES], 9 - few[TEST_LABELS])
    with pytest.raises(DataError, match=f"{parquet.TEST} is not Fashion-MNIST's"):
        read(tmp_path / given)


def test_packed_files_are_verified_as_they_are(original, tmp_path, monkeypatch):
    for name, array in lookalike().items():
        write(tmp_path / f"{name}.gz", array)
        packed = hashlib.sha256((tmp_path / f"{name}.gz").read_bytes()).hexdigest()
        monkeypatch.setitem(KMNIST.sha256, name, packed)
    dataset = read_folder(KMNIST, tmp_path)
    assert (dataset.name, dataset.description.class_names[-1]) == ("kmnist", "wo")
    assert dataset.digests[TRAIN_LABELS] == raw_files.idx_digest(dataset.train.labels)  # whatever it is packed with
    write(tmp_path / TRAIN_LABELS, dataset.train.labels)
    with pytest.raises(DataError, match=r"compressed as published, .* config\.data\.name=idx takes any"):
        read_folder(KMNIST, tmp_path)
