from __future__ import annotations

import gzip
import hashlib
import os
import struct
import tracemalloc
from pathlib import Path

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from idx_files import encode, write

from fmnist_jax.data import raw_files
from fmnist_jax.errors import DataError

ARRAYS = hnp.arrays(np.uint8, hnp.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=5))
ARRAY = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("idx") / "file"


def read(path: Path, content: bytes) -> np.ndarray:
    path.write_bytes(content)
    return raw_files.read_idx(path)


def read_or_message(path: Path, content: bytes) -> np.ndarray | str:
    try:
        return read(path, content)
    except DataError as error:
        return str(error)


@given(array=ARRAYS, pack=st.sampled_from([bytes, gzip.compress]))
def test_reads_back_what_was_written(path, array, pack):
    found = read(path, pack(encode(array)))
    assert found.dtype == np.uint8
    assert found.shape == array.shape
    assert (found == array).all()


@given(ARRAYS)
def test_digest_is_that_of_the_unpacked_file(array):
    assert raw_files.idx_digest(array) == hashlib.sha256(encode(array)).hexdigest()


def test_digest_of_a_view():
    view = np.arange(24, dtype=np.uint8).reshape(4, 6)[:, ::2]
    assert raw_files.idx_digest(view) == hashlib.sha256(encode(view.copy())).hexdigest()


@pytest.mark.parametrize("name", ["labels", "labels.gz", "labels.idx"])
def test_compression_is_detected_by_content_not_by_name(tmp_path, name):
    for content in (encode(ARRAY), gzip.compress(encode(ARRAY))):
        assert (read(tmp_path / name, content) == ARRAY).all()


@given(cut=st.integers(1, len(encode(ARRAY))))
def test_a_truncated_file_is_an_error(path, cut):
    with pytest.raises(DataError, match=str(path)):
        read(path, encode(ARRAY)[:-cut])


@given(data=st.data())
def test_a_truncated_gzip_file_is_an_error(path, data):
    packed = gzip.compress(encode(ARRAY))
    cut = data.draw(st.integers(1, len(packed)))
    with pytest.raises(DataError, match=str(path)):
        read(path, packed[:-cut])


@given(content=st.binary(max_size=64), start=st.sampled_from([b"", b"\x00\x00\x08", b"\x1f\x8b", b"\x1f\x8b\x08"]))
def test_arbitrary_bytes_are_an_error_or_an_array(path, start, content):
    found = read_or_message(path, start + content)
    if isinstance(found, str):
        assert str(path) in found
        assert "\n" not in found
    else:
        assert encode(found) == start + content


@given(data=st.data())
def test_a_damaged_gzip_file_never_gives_other_content(path, data):
    packed = bytearray(gzip.compress(encode(ARRAY)))
    at = data.draw(st.integers(0, len(packed) - 1))
    packed[at] ^= data.draw(st.integers(1, 255))
    found = read_or_message(path, bytes(packed))
    if isinstance(found, str):
        assert str(path) in found
    else:  # the byte was one of gzip's own notes, such as the time
        assert (found == ARRAY).all()


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_bytes_after_the_end_are_an_error(path, pack):
    with pytest.raises(DataError, match=r"says \(2, 3, 4\), which is 24 bytes, but more follow"):
        read(path, pack(encode(ARRAY) + b"\x00"))


def test_bytes_after_the_gzip_data_are_an_error(path):
    with pytest.raises(DataError, match="cannot be unpacked"):
        read(path, gzip.compress(encode(ARRAY)) + b"more")


def test_too_few_bytes_are_counted(path):
    with pytest.raises(DataError, match=r"which is 24 bytes, but 20 follow"):
        read(path, encode(ARRAY)[:-4])


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "starts with nothing"),
        (b"<html>", "starts with 3c 68 74 6d"),
        (b"\x00\x00\x0d\x01\x00\x00\x00\x00", "starts with 00 00 0d 01"),
        (b"\x00\x00\x08\x00", "starts with 00 00 08 00"),
        (b"\x00\x00\x08\xff" + b"\x00" * 1020, "starts with 00 00 08 ff"),
    ],
)
def test_another_magic_is_named_with_the_expected_one(path, content, found):
    with pytest.raises(DataError, match=f"{found}, expected 00 00 08"):
        read(path, content)


@pytest.mark.parametrize("sizes", [(2**32 - 1,) * 3, (900_000_000,), (0, 2**32 - 1, 2**32 - 1)])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_wrong_header_allocates_no_memory(path, pack, sizes):
    path.write_bytes(pack(b"\x00\x00\x08" + struct.pack(f">B{len(sizes)}I", len(sizes), *sizes) + b"\x00" * 100))
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match="its header says"):
            raw_files.read_idx(path)
        assert tracemalloc.get_traced_memory()[1] < 8e6
    finally:
        tracemalloc.stop()


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(DataError, match=r"labels cannot be read: No such file"):
        raw_files.read_idx(tmp_path / "labels")


def test_a_folder_is_an_error(tmp_path):
    with pytest.raises(DataError, match="is not a file"):
        raw_files.read_idx(tmp_path)


def test_a_named_pipe_is_an_error_and_does_not_block(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match="is not a file"):
        raw_files.read_idx(tmp_path / "pipe")


def test_a_file_that_may_not_be_read_is_an_error(tmp_path, monkeypatch):
    write(tmp_path / "labels", ARRAY)

    def refuse(self: Path, mode: str) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)  # a test run by root would be let in, whatever the file's mode
    with pytest.raises(DataError, match="labels cannot be read: Permission denied"):
        raw_files.read_idx(tmp_path / "labels")
