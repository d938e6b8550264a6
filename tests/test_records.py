from __future__ import annotations

import csv
import json
import math

import numpy as np
import pytest
import toy
from hypothesis import given
from hypothesis import strategies as st

from fmnist_jax.data import CLASS_NAMES
from fmnist_jax.errors import WorkdirError
from fmnist_jax.train import writers

_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(value=_VALUES)
def test_json_reads_back_with_null_for_what_is_not_finite(tmp_path_factory, value):
    path = tmp_path_factory.getbasetemp() / "value.json"
    writers.write_json(path, value)

    def refuse(constant: str):
        raise AssertionError(f"{constant} is not JSON")

    expected = writers.finite(value)
    assert json.loads(path.read_text(), parse_constant=refuse) == expected
    assert writers.read_json(path) == expected


def test_finite_replaces_only_what_is_not():
    value = {"a": [1.5, math.nan, {"b": math.inf}], "c": (-math.inf, None, "nan", True), "d": np.float64("nan")}
    assert writers.finite(value) == {"a": [1.5, None, {"b": None}], "c": [None, None, "nan", True], "d": None}


@pytest.mark.parametrize("content", [b"", b'{"a": ', b"\xff\xfe"])
def test_damaged_json_is_an_error_with_the_way_out(tmp_path, content):
    (tmp_path / "summary.json").write_bytes(content)
    with pytest.raises(WorkdirError, match=r"summary\.json cannot be read .*; delete it and run the command again"):
        writers.read_json(tmp_path / "summary.json")


def test_metrics_are_a_line_an_epoch_and_written_anew(tmp_path):
    path = tmp_path / "metrics.jsonl"
    for history in ([{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.4}], [{"epoch": 1, "loss": math.nan}], []):
        writers.write_metrics(path, history)
        assert [json.loads(line) for line in path.read_text().splitlines()] == writers.finite(history)
    assert [file.name for file in tmp_path.iterdir()] == ["metrics.jsonl"]


def test_a_write_that_fails_leaves_the_file_as_it_was_and_nothing_else(tmp_path):
    path = tmp_path / "summary.json"
    writers.write_json(path, {"a": 1})
    with pytest.raises(TypeError):
        writers.write_json(path, {"a": object()})
    assert writers.read_json(path) == {"a": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["summary.json"]


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(WorkdirError, match=r"file/summary\.json cannot be written"):
        writers.write_json(tmp_path / "file" / "summary.json", {})


def test_the_confusion_matrix_is_a_table_with_the_classes_names(tmp_path):
    confusion = np.arange(100, dtype=np.int32).reshape(10, 10)
    writers.write_confusion_matrix(tmp_path / "confusion_matrix.csv", confusion)
    with (tmp_path / "confusion_matrix.csv").open(newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["true\\predicted", *CLASS_NAMES]
    assert [(row[0], [int(cell) for cell in row[1:]]) for row in rows] == list(
        zip(CLASS_NAMES, confusion.tolist(), strict=True)
    )


def _written(path, split, probabilities) -> dict[str, np.ndarray]:
    writers.write_predictions(path, split, probabilities)
    with np.load(path, allow_pickle=False) as file:
        return dict(file)


def test_predictions_hold_the_25_most_confident_mistakes(tmp_path):
    split, rng = toy.split(60), np.random.default_rng(0)
    probabilities = rng.dirichlet(np.ones(10), 60).astype(np.float32)
    arrays = _written(tmp_path / "predictions.npz", split, probabilities)
    assert {name: (a.dtype.name, a.shape) for name, a in arrays.items()} == {
        "labels": ("uint8", (60,)),
        "probabilities": ("float32", (60, 10)),
        "mistake_index": ("int32", (25,)),
        "mistake_images": ("uint8", (25, 28, 28)),
    }
    wrong = [i for i in range(60) if probabilities[i].argmax() != split.labels[i]]
    assert len(wrong) > 25
    by_confidence = sorted(wrong, key=lambda i: -probabilities[i].max())
    assert arrays["mistake_index"].tolist() == by_confidence[:25]
    assert (arrays["mistake_images"] == split.images[by_confidence[:25]]).all()
    assert (arrays["probabilities"] == probabilities).all()


def test_without_mistakes_there_are_none(tmp_path):
    split = toy.split(20)
    arrays = _written(tmp_path / "predictions.npz", split, np.eye(10, dtype=np.float32)[split.labels])
    assert arrays["mistake_index"].shape == (0,)
    assert arrays["mistake_images"].shape == (0, 28, 28)


def test_predictions_of_a_diverged_run_can_be_written(tmp_path):
    split = toy.split(20)
    arrays = _written(tmp_path / "predictions.npz", split, np.full((20, 10), np.nan, np.float32))
    assert arrays["mistake_index"].tolist() == np.flatnonzero(split.labels != 0).tolist()
