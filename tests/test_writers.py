from __future__ import annotations

import csv
import io
import json
import math
import sys
import time

import event_files
import numpy as np
import pytest
import toy

from fmnist_jax.data import FASHION_MNIST
from fmnist_jax.files.atomic import finite
from fmnist_jax.train import writers
from fmnist_jax.train.writers import Events


def test_metrics_are_a_line_an_epoch_and_written_anew(tmp_path):
    path = tmp_path / "metrics.jsonl"
    for history in ([{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.4}], [{"epoch": 1, "loss": math.nan}], []):
        writers.write_metrics(path, history)
        assert [json.loads(line) for line in path.read_text().splitlines()] == finite(history)
    assert [file.name for file in tmp_path.iterdir()] == ["metrics.jsonl"]


def test_the_confusion_matrix_is_a_table_with_the_classes_names(tmp_path):
    confusion = np.arange(100, dtype=np.int32).reshape(10, 10)
    writers.write_confusion_matrix(tmp_path / "confusion_matrix.csv", confusion, FASHION_MNIST.class_names)
    with (tmp_path / "confusion_matrix.csv").open(newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["true\\predicted", *FASHION_MNIST.class_names]
    assert [(row[0], [int(cell) for cell in row[1:]]) for row in rows] == list(
        zip(FASHION_MNIST.class_names, confusion.tolist(), strict=True)
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


def test_numbers_are_written_at_their_step_under_a_group(tmp_path):
    with Events(tmp_path, 0) as events:
        events.write({"epoch": 1, "step": 4, "train_loss": 0.5, "val_loss": None, "examples_per_second": 7.0})
    assert event_files.read(tmp_path) == {"train/loss": {4: 0.5}, "examples/per_second": {4: 7.0}}


def test_epochs_can_be_seen_while_the_run_goes_on(tmp_path):
    with Events(tmp_path, 0) as events:
        for step in (4, 8):
            events.write({"epoch": step // 4, "step": step, "train_loss": 0.5})
        deadline = time.monotonic() + 20
        while event_files.read(tmp_path) != {"train/loss": {4: 0.5, 8: 0.5}}:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_a_run_resumed_within_a_second_adds_to_what_is_there(tmp_path):
    with Events(tmp_path, 0) as events:
        events.write({"epoch": 1, "step": 4, "train_loss": 0.5})
        events.write({"epoch": 2, "step": 8, "train_loss": 0.25})
    with Events(tmp_path, 4) as events:  # the second epoch had no checkpoint
        events.write({"epoch": 2, "step": 8, "train_loss": 0.125})
    assert event_files.read(tmp_path) == {"train/loss": pytest.approx({4: 0.5, 8: 0.125})}


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def _printed(file: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> str:
    """What the progress of two epochs writes to `file` as stdout."""
    record = {"train_loss": 0.5, "train_accuracy": 0.5, "val_loss": 0.5, "val_accuracy": 0.5}
    record |= {"examples_per_second": 1e3, "train_seconds": 1.0}
    monkeypatch.setattr(sys, "stdout", file)
    with writers.EpochProgress(2) as progress:
        for epoch in (1, 2):
            progress.report(record | {"epoch": epoch})
    return file.getvalue()


@pytest.mark.parametrize(
    ("file", "environment"),
    [
        (io.StringIO, {}),
        (io.StringIO, {"FORCE_COLOR": "1"}),
        (io.StringIO, {"TTY_COMPATIBLE": "1", "TTY_INTERACTIVE": "1"}),
        (_Terminal, {"TERM": "dumb"}),
    ],
)
def test_progress_is_a_line_per_epoch_where_no_bar_can_be_shown(file, environment, monkeypatch):
    for name, value in {"TERM": "xterm", **environment}.items():
        monkeypatch.setenv(name, value)
    lines = _printed(file(), monkeypatch).split("\n")
    assert [line[:12] for line in lines] == ["epoch 1/2  t", "epoch 2/2  t", ""]
    assert all(line.isprintable() for line in lines)


def test_progress_in_a_notebook_is_its_plain_output(monkeypatch):
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    assert _printed(io.StringIO(), monkeypatch).count("\nepoch") == 1


def test_progress_on_a_terminal_has_a_bar(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    assert "2/2 epochs" in _printed(_Terminal(), monkeypatch)
