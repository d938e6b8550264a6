from __future__ import annotations

from pathlib import Path

import numpy as np
import parquet_files
import pyarrow
import pyarrow.parquet
import pytest

from fmnist_jax.data import parquet
from fmnist_jax.errors import DataError

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 5, 4), np.uint8)
LABELS = np.array([0, 9, 255])
SHAPE = (3, 5, 4)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / parquet.TRAIN


def test_reads_back_what_was_written(path):
    parquet_files.write(path, IMAGES, LABELS)
    images, labels = parquet.read(path, SHAPE)
    assert (images.dtype, labels.dtype) == (np.uint8, np.uint8)
    assert (images == IMAGES).all()
    assert (labels == LABELS).all()


@pytest.mark.parametrize(
    ("images", "labels", "problem"),
    [
        (IMAGES[:2], LABELS[:2], " holds 2 images, expected 3"),
        (IMAGES.transpose(0, 2, 1), LABELS, ", row 1: the image is 5x4 of mode L, expected 4x5 of mode L"),
        ([IMAGES[0], np.zeros((5, 4, 3), np.uint8), IMAGES[2]], LABELS, ", row 2: the image is 4x5 of mode RGB"),
        ([IMAGES[0], IMAGES[1], b"GIF89a"], LABELS, ", row 3 is damaged: it is no PNG file"),
        ([IMAGES[0], parquet_files.png(IMAGES[1])[:60], IMAGES[2]], LABELS, ", row 2 is damaged: it is no PNG file"),
        (IMAGES, [0, 256, 1], " is damaged: it is no table of images and labels (Integer value 256"),
        (IMAGES, [0, None, 1], " is damaged: it is no table of images and labels"),
        (IMAGES, ["a", "b", "c"], " is damaged: it is no table of images and labels"),
    ],
)
def test_what_is_wrong_is_one_line(path, images, labels, problem):
    parquet_files.write(path, images, labels)
    with pytest.raises(DataError) as caught:
        parquet.read(path, SHAPE)
    assert str(caught.value).startswith(f"{path}{problem}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("missing", ["image", "label"])
def test_a_missing_column_is_an_error(path, missing):
    columns = {"image": ["a"] * 3, "label": [1] * 3}
    del columns[missing]
    pyarrow.parquet.write_table(pyarrow.table(columns), path)
    with pytest.raises(DataError, match="is damaged: it is no table of images and labels"):
        parquet.read(path, SHAPE)


@pytest.mark.parametrize("size", [0, 3, -20])
def test_a_truncated_file_is_an_error(path, size):
    parquet_files.write(path, IMAGES, LABELS)
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(DataError, match="is damaged: it is no table of images and labels"):
        parquet.read(path, SHAPE)


def test_a_missing_file_is_an_error(path):
    with pytest.raises(DataError, match="cannot be read: No such file"):
        parquet.read(path, SHAPE)
