from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fmnist_jax.errors import WorkdirError
from fmnist_jax.files.atomic import append, finite, json_lines, remove, truncate, write_atomically, write_json


def test_writes_and_replaces_making_the_folder(tmp_path: Path):
    path = tmp_path / "new" / "file.json"
    write_atomically(path, b"one")
    write_atomically(path, b"two")
    assert path.read_bytes() == b"two"
    assert list(path.parent.iterdir()) == [path]


def test_what_is_written_is_on_the_disk_before_and_after_the_rename(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """After a power loss the old file is there or the new one, never an empty one."""
    steps: list[tuple[str, int]] = []
    fsync, replace = os.fsync, Path.replace

    def note_fsync(descriptor: int) -> None:
        steps.append(("fsync", os.fstat(descriptor).st_ino))
        fsync(descriptor)

    def note_replace(source: Path, target: Path) -> Path:
        assert source.read_bytes() == b"new"
        steps.append(("replace", source.stat().st_ino))
        return replace(source, target)

    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(Path, "replace", note_replace)
    path = tmp_path / "file.json"
    write_atomically(path, b"new")
    file, folder = path.stat().st_ino, tmp_path.stat().st_ino
    assert steps == [("fsync", file), ("replace", file), ("fsync", folder)]


def test_what_a_killed_process_left_is_removed_what_a_living_one_writes_is_not(tmp_path: Path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    left = tmp_path / f".file.json.{ended.pid}.tmp"
    living = tmp_path / f".file.json.{os.getppid()}.tmp"
    foreign = [tmp_path / ".file.json.x.tmp", tmp_path / f".other.json.{ended.pid}.tmp"]
    for path in (left, living, *foreign):
        path.touch()
    write_atomically(tmp_path / "file.json", b"new")
    assert set(tmp_path.iterdir()) == {tmp_path / "file.json", living, *foreign}


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "file.json"
    write_atomically(path, b"old")

    def full(descriptor: int) -> None:
        os.ftruncate(descriptor, 1)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(WorkdirError, match=r"file.json cannot be written \(No space left on device\); .* free space"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_too_many_open_files_are_not_for_want_of_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def exhausted(descriptor: int) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(os, "fsync", exhausted)
    with pytest.raises(WorkdirError, match=r"\(Too many open files\); raise the limit of open files, .* ulimit -n"):
        write_atomically(tmp_path / "file.json", b"new")


def test_removing(tmp_path: Path):
    path = tmp_path / "file"
    path.touch()
    remove(path)
    remove(path)
    assert not path.exists()
    with pytest.raises(WorkdirError, match="cannot be removed"):
        remove(tmp_path)


def test_a_file_is_added_to_and_cut(tmp_path: Path):
    path = tmp_path / "file.jsonl"
    append(path, b"one\n")
    append(path, b"two\n")
    assert path.read_bytes() == b"one\ntwo\n"
    truncate(path, 4)
    assert path.read_bytes() == b"one\n"


def test_a_file_that_cannot_be_added_to_or_cut(tmp_path: Path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(WorkdirError, match=r"folder cannot be written \(Is a directory\)"):
        append(tmp_path / "folder", b"one")
    with pytest.raises(WorkdirError, match=r"none cannot be shortened \(No such file or directory\)"):
        truncate(tmp_path / "none", 3)


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(value=_VALUES)
def test_json_reads_back_with_null_for_what_is_not_finite(tmp_path_factory, value):
    path = tmp_path_factory.getbasetemp() / "value.json"
    write_json(path, value)

    def refuse(constant: str):
        raise AssertionError(f"{constant} is not JSON")

    expected = finite(value)
    assert json.loads(path.read_text(), parse_constant=refuse) == expected
    assert [json.loads(line, parse_constant=refuse) for line in json_lines([value] * 2).splitlines()] == [expected] * 2


def test_finite_replaces_only_what_is_not():
    value = {"a": [1.5, math.nan, {"b": math.inf}], "c": (-math.inf, None, "nan", True), "d": np.float64("nan")}
    assert finite(value) == {"a": [1.5, None, {"b": None}], "c": [None, None, "nan", True], "d": None}


def test_a_write_that_fails_leaves_the_file_as_it_was_and_nothing_else(tmp_path):
    path = tmp_path / "summary.json"
    write_json(path, {"a": 1})
    with pytest.raises(TypeError):
        write_json(path, {"a": object()})
    assert json.loads(path.read_text()) == {"a": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["summary.json"]


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(WorkdirError, match=r"file/summary\.json cannot be written"):
        write_json(tmp_path / "file" / "summary.json", {})
