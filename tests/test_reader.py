from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest

from fmnist_jax.errors import WorkdirError
from fmnist_jax.files.atomic import json_lines, write_json
from fmnist_jax.files.reader import WorkdirReader

REMEDY = "delete it and run the command again"


@pytest.fixture
def reader(tmp_path: Path) -> WorkdirReader:
    return WorkdirReader(tmp_path, REMEDY)


def test_reads_what_was_written(reader: WorkdirReader):
    records = [{"a": 1, "b": [1.5, None]}, {"c": "x"}]
    write_json(reader.path / "file.json", records[0])
    (reader.path / "file.jsonl").write_bytes(json_lines(records))
    assert reader.has("file.json")
    assert reader.object("file.json") == records[0]
    assert reader.objects("file.jsonl") == records
    assert not reader.has("other.json")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is not JSON"),
        (b'{"a": ', "is not JSON"),
        (b'{"a": NaN}', "is not JSON"),
        (b'{"a": -Infinity}', "is not JSON"),
        (b'{"a": 1' + b"0" * 5000 + b"}", "is not JSON"),
        (b'{"a": ' + b"[" * 200_000, "is not JSON"),
        (b'{"a": "\\uD800"}', "holds text that is not valid Unicode"),
        (b'{"\\udfff": 1}', "holds text that is not valid Unicode"),
        (b"[1, 2]", "is not a JSON object"),
        (b"\xff\xfe", "is not text in UTF-8"),
        (None, "is missing"),
    ],
)
def test_a_damaged_file_is_an_error_with_the_way_out(content: bytes | None, problem: str, reader: WorkdirReader):
    path = reader.path / "summary.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(WorkdirError) as caught:
        reader.object("summary.json")
    assert str(caught.value) == f"{path} {problem}; {REMEDY}"


def test_an_incomplete_last_line_is_ignored_where_that_is_allowed(reader: WorkdirReader):
    (reader.path / "file.jsonl").write_text('{"a": 1}\n{"a": 2')
    assert reader.objects("file.jsonl", allow_partial_tail=True) == [{"a": 1}]
    with pytest.raises(WorkdirError, match=r"file\.jsonl line 2 is not JSON"):
        reader.objects("file.jsonl")


@dataclasses.dataclass(frozen=True)
class Figures:
    epoch: int
    loss: float
    val_accuracy: float
    done: bool = False
    name: str = ""


def test_a_record_of_a_dataclass(reader: WorkdirReader):
    found = reader.record(Figures, {"epoch": 1, "loss": None, "val_accuracy": 1, "more": []}, "file.json")
    assert math.isnan(found.loss)
    assert dataclasses.replace(found, loss=0.0) == Figures(1, 0.0, 1)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"epoch": 1.0}, "has epoch = 1.0, which is not an integer"),
        ({"epoch": True}, "has epoch = True, which is not an integer"),
        ({"epoch": 2**60}, f"has epoch = {2**60}, which is not an integer"),
        ({"loss": "x"}, "has loss = 'x', which is not a number or null"),
        ({"loss": math.inf}, "has loss = inf, which is not a number or null"),
        ({"done": 1}, "has done = 1, which is not true or false"),
        ({"name": 3}, "has name = 3, which is not a string"),
        ({"val_accuracy": 1.5}, "has val_accuracy = 1.5, which is not between 0 and 1"),
    ],
)
def test_a_value_of_another_type_is_named(changes: dict[str, object], problem: str, reader: WorkdirReader):
    values = {"epoch": 1, "loss": 0.5, "val_accuracy": 0.5} | changes
    with pytest.raises(WorkdirError) as caught:
        reader.record(Figures, values, "file.json")
    assert str(caught.value) == f"{reader.path / 'file.json'} {problem}; {REMEDY}"


def test_a_missing_field_is_named(reader: WorkdirReader):
    with pytest.raises(WorkdirError, match=r"file\.json lacks 'epoch'"):
        reader.record(Figures, {}, "file.json")


def test_arrays_are_never_unpickled(reader: WorkdirReader):
    np.savez(reader.path / "plain.npz", a=np.arange(3))
    np.savez(reader.path / "pickled.npz", a=np.array([{}], object))
    assert reader.arrays("plain.npz")["a"].tolist() == [0, 1, 2]
    with pytest.raises(WorkdirError, match=r"pickled\.npz is not a readable \.npz file of plain arrays"):
        reader.arrays("pickled.npz")
