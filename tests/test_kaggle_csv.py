from __future__ import annotations

import gzip
import hashlib
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fmnist_jax.data import Split, kaggle_csv
from fmnist_jax.errors import DataError

HEADER = "label," + ",".join(f"pixel{i}" for i in range(1, 785))


def images(count: int, seed: int = 0) -> Split:
    rng = np.random.default_rng(seed)
    return Split(rng.integers(0, 256, (count, 28, 28), np.uint8), rng.integers(0, 10, count, np.uint8))


def encode(split: Split, newline: str = "\n") -> bytes:
    rows = np.concatenate([split.labels[:, None], split.images.reshape(len(split), -1)], axis=1)
    return newline.join([HEADER, *(",".join(map(str, row)) for row in rows.tolist()), ""]).encode()


def row(label: str = "3", at: int = 0, value: str = "7", columns: int = 784) -> str:
    pixels = ["0"] * columns
    pixels[at] = value
    return ",".join([label, *pixels])


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("csv") / "fashion-mnist_test.csv"


def read(path: Path, content: bytes | str) -> Split:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return kaggle_csv.read(path)[0]


def read_or_message(path: Path, content: bytes) -> Split | str:
    try:
        return read(path, content)
    except DataError as error:
        return str(error)


@given(
    count=st.integers(1, 5),
    seed=st.integers(0, 99),
    newline=st.sampled_from(["\n", "\r\n", "\r", "\r\r\n"]),
    packed=st.booleans(),
)
def test_reads_back_what_was_written(path, count, seed, newline, packed):
    split = images(count, seed)
    content = encode(split, newline)
    path.write_bytes(gzip.compress(content, 1) if packed else content)
    found, digest = kaggle_csv.read(path)
    assert found.images.dtype == found.labels.dtype == np.uint8
    assert found.images.shape == (count, 28, 28)
    assert (found.images == split.images).all()
    assert (found.labels == split.labels).all()
    assert digest == hashlib.sha256(content).hexdigest()


def test_the_first_row_of_the_image_comes_first(path):
    found = read(path, f"{HEADER}\n{row(at=29, value='255')}\n")
    assert np.argwhere(found.images).tolist() == [[0, 1, 1]]
    assert found.images.max() == 255


@pytest.mark.parametrize("ending", ["", "\n", "\n\n", "\n  \n"])
def test_the_end_of_the_file_may_be_blank(path, ending):
    assert len(read(path, f"{HEADER}\n{row()}\n{row()}{ending}")) == 2


def test_a_byte_order_mark_is_skipped(path):
    assert len(read(path, f"\ufeff{HEADER}\n{row()}\n")) == 1


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_a_bad_row_is_named_by_its_line_whatever_ends_the_lines(path, newline):
    with pytest.raises(DataError, match="line 4: the label is 'x', expected 0 to 9"):
        read(path, newline.join([HEADER, row(), "", row(label="x"), row(), ""]))


@pytest.mark.parametrize("blank", ["\n", "\r", " " * 20])
def test_a_small_file_of_millions_of_blank_lines_is_refused_at_once(path, blank):
    content = gzip.compress(f"{HEADER}\n{row()}\n{blank * 2**22}".encode(), 1)
    start = time.process_time()
    with pytest.raises(DataError, match=r"line .*: 1,000 lines before it are blank"):
        read(path, content)
    assert time.process_time() - start < 0.5


@pytest.mark.parametrize("content", ["", HEADER, HEADER + "\n", HEADER + "\n\n"])
def test_no_rows_are_an_error(path, content):
    with pytest.raises(DataError, match=f"{path.name} holds no images"):
        read(path, content)


@pytest.mark.parametrize(
    "header",
    [
        row(),
        HEADER.removesuffix(",pixel784"),
        HEADER + ",pixel785",
        HEADER.replace("label,", "class,"),
        HEADER.replace(",", ";"),
        "<!DOCTYPE html>",
        "\x00\x00\x08\x01",
        "x" * 100_000,
    ],
)
def test_another_header_is_an_error_at_line_1(path, header):
    with pytest.raises(DataError, match=r"line 1: the header is .* expected label,pixel1,...,pixel784"):
        read(path, f"{header}\n{row()}\n")


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (row(columns=783), "784 columns, expected 785"),
        (row(columns=785), "786 columns, expected 785"),
        (row() + ",", "786 columns, expected 785"),
        ("0", "1 columns, expected 785"),
        (row(label="10"), "the label is '10', expected 0 to 9"),
        (row(label="-1"), "the label is '-1', expected 0 to 9"),
        (row(label="Coat"), "the label is 'Coat', expected 0 to 9"),
        (row(at=2, value="256"), "pixel3 is '256', expected 0 to 255"),
        (row(at=2, value="-1"), "pixel3 is '-1', expected 0 to 255"),
        (row(at=2, value="1.0"), "pixel3 is '1.0', expected 0 to 255"),
        (row(at=2, value="nan"), "pixel3 is 'nan', expected 0 to 255"),
        (row(at=2, value="1e2"), "pixel3 is '1e2', expected 0 to 255"),
        (row(at=2, value="\N{ARABIC-INDIC DIGIT THREE}"), r"pixel3 is '\\xd9\\xa3', expected 0 to 255"),
        (row(at=2, value="\0"), r"pixel3 is '\x00', expected 0 to 255"),
        (row(at=2, value=""), "pixel3 is '', expected 0 to 255"),
        (row(at=2, value='"7"'), "pixel3 is '\"7\"', expected 0 to 255"),
        (row(label=""), "the label is '', expected 0 to 9"),
        (row(label="9" * 5000), "the label is '" + "9" * 40),
    ],
)
def test_a_bad_row_is_named_by_its_line(path, line, problem):
    with pytest.raises(DataError) as raised:
        read(path, f"{HEADER}\n{row()}\n\n{line}\n{row()}\n")
    assert str(raised.value).startswith(f"{path}, line 4: ")
    assert problem in str(raised.value)


def test_a_truncated_file_is_an_error(path):
    with pytest.raises(DataError, match="line 3: 393 columns"):
        read(path, f"{HEADER}\n{row()}\n" + ",".join(["0"] * 393))


def test_a_truncated_gzip_file_is_an_error(path):
    with pytest.raises(DataError, match="cannot be unpacked"):
        read(path, gzip.compress(encode(images(3)))[:-20])


@given(data=st.data())
def test_one_changed_byte_is_an_error_or_another_image(path, data):
    content = bytearray(encode(images(2)))
    content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    found = read_or_message(path, bytes(content))
    if isinstance(found, str):
        assert found.startswith(str(path))
        assert "\n" not in found
    else:
        assert found.images.shape == (2, 28, 28)
        assert found.labels.max() < 10


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(DataError, match="cannot be read: No such file"):
        kaggle_csv.read(tmp_path / kaggle_csv.TRAIN)
