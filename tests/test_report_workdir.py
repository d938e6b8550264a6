from __future__ import annotations

import contextlib
import json
import math
import re
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from workdir_files import diverged, epoch_records, write_evaluation, write_json, write_metrics, write_run

from fmnist_jax.errors import WorkdirError
from fmnist_jax.report.run.workdir import read_evaluation, read_run

FILES = ("summary.json", "metrics.jsonl", "config.json", "manifest.json", "confusion_matrix.csv", "predictions.npz")


@pytest.fixture
def workdir(tmp_path: Path) -> Path:
    return write_run(tmp_path / "run", epochs=3, examples=100)


def _change(path: Path, **changes: object) -> None:
    write_json(path, json.loads(path.read_text()) | changes)


def _change_arrays(folder: Path, **changes: np.ndarray) -> None:
    with np.load(folder / "predictions.npz") as file:
        arrays = dict(file) | changes
    np.savez(folder / "predictions.npz", **arrays)


def test_reads_what_a_run_wrote(workdir):
    run = read_run(workdir)
    assert (run.summary.model, run.summary.epochs, run.summary.validation_is_test) == ("model3", 3, True)
    assert [record.epoch for record in run.epochs] == [1, 2, 3]
    assert run.matrix.sum() == len(run.predictions.labels) == 100
    assert math.isnan(run.summary.test_loss)
    assert run.config["train"]["batch_size"] == 256


def test_null_is_read_as_not_a_number(workdir):
    write_metrics(workdir, diverged(epoch_records(3), 2))
    assert [math.isnan(record.val_loss) for record in read_run(workdir).epochs] == [False, True, True]


@pytest.mark.parametrize("name", ["manifest.json", "confusion_matrix.csv", "predictions.npz"])
def test_a_file_that_may_be_missing_is_none(workdir, name):
    (workdir / name).unlink()
    run = read_run(workdir)
    parts = {
        "manifest.json": run.manifest,
        "confusion_matrix.csv": run.matrix,
        "predictions.npz": run.predictions,
    }
    assert [part for part, value in parts.items() if value is None] == [name]


@pytest.mark.parametrize("name", ["summary.json", "metrics.jsonl", "config.json"])
def test_a_missing_file_is_named_with_the_way_out(workdir, name):
    (workdir / name).unlink()
    with pytest.raises(WorkdirError, match=rf"{name} is missing.*; run scripts/train.py with --workdir=") as caught:
        read_run(workdir)
    assert "\n" not in str(caught.value)


def test_a_run_that_has_not_ended_is_called_that(workdir):
    (workdir / "summary.json").unlink()
    with pytest.raises(WorkdirError, match="the run has not ended"):
        read_run(workdir)


def test_no_folder(tmp_path):
    with pytest.raises(WorkdirError, match=r"nowhere is not a folder; give the workdir"):
        read_run(tmp_path / "nowhere")


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b'{"status": ', b"[1, 2]\n", b"a,b\n1\n", b"PK\x03\x04 no"])
def test_a_damaged_file_is_named(workdir, name, content):
    (workdir / name).write_bytes(content)
    with pytest.raises(WorkdirError, match=re.escape(name)):
        read_run(workdir)


@pytest.mark.parametrize("name", FILES)
def test_half_a_file_is_named(workdir, name):
    content = (workdir / name).read_bytes()
    (workdir / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(WorkdirError, match=re.escape(name)):
        read_run(workdir)


@pytest.mark.parametrize("name", FILES)
def test_a_folder_in_place_of_a_file_is_named(workdir, name):
    (workdir / name).unlink()
    (workdir / name).mkdir()
    with pytest.raises(WorkdirError, match=re.escape(name)):
        read_run(workdir)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"status": "running"}, "status = 'running', which is not finished or diverged"),
        ({"scored_split": "all"}, "scored_split = 'all', which is not train or val or test"),
        ({"val_accuracy": 90.6}, "val_accuracy = 90.6, which is not between 0 and 1"),
        ({"seed": None}, "seed = None, which is not an integer"),
        ({"synthetic": 1}, "synthetic = 1, which is not true or false"),
        ({"model": 3}, "model = 3, which is not a string"),
        ({"train_loss": "low"}, "train_loss = 'low', which is not a number or null"),
        ({"epochs": 10**30}, "epochs = 1000000000.*, which is not an integer"),
        ({"scored_examples": 0}, "summary.json counts 0 images"),
        ({"scored_examples": 99}, "counts 100 images where summary.json counts 99"),
    ],
)
def test_a_wrong_value_is_named(workdir, changes, problem):
    _change(workdir / "summary.json", **changes)
    with pytest.raises(WorkdirError, match=problem):
        read_run(workdir)


def test_infinity_is_not_taken_from_json(workdir):
    text = (workdir / "summary.json").read_text()
    for number in ("NaN", "Infinity", "1e999"):
        (workdir / "summary.json").write_text(re.sub(r'"val_loss": [0-9.]+', f'"val_loss": {number}', text))
        with pytest.raises(WorkdirError, match=r"summary\.json"):
            read_run(workdir)


@pytest.mark.parametrize("epochs", [[], [0, 1], [1, 1], [2, 1]])
def test_epochs_have_to_count_upward(workdir, epochs):
    write_metrics(workdir, [epoch_records(1)[0] | {"epoch": epoch} for epoch in epochs])
    with pytest.raises(WorkdirError, match=r"metrics\.jsonl"):
        read_run(workdir)


def test_classes_in_another_order_are_refused(workdir):
    path = workdir / "confusion_matrix.csv"
    path.write_text(path.read_text().replace("Trouser", "Shirt"))
    with pytest.raises(WorkdirError, match="does not name the 10 classes in order"):
        read_run(workdir)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"labels": np.zeros(99, np.uint8)}, "has probabilities of float32"),
        ({"labels": np.zeros(100, np.uint8)}, "has other labels than confusion_matrix.csv"),
        ({"labels": np.full(100, 10, np.uint8)}, "labels outside 0 to 9"),
        ({"labels": np.zeros(100)}, "has labels of float64"),
        ({"probabilities": np.full((100, 10), 3.0)}, "probabilities that do not sum to 1"),
        ({"probabilities": np.tile([2.0, -1.0] + [0.0] * 8, (100, 1))}, "probabilities that do not sum to 1"),
        ({"mistake_index": np.array([], np.int32)}, "has mistake_images of uint8"),
        ({"mistake_index": np.array([100]), "mistake_images": np.zeros((1, 28, 28), np.uint8)}, "mistake_index"),
        ({"mistake_images": np.array([{}], object)}, "not a readable .npz"),
    ],
)
def test_predictions_that_do_not_fit_are_refused(workdir, changes, problem):
    _change_arrays(workdir, **changes)
    with pytest.raises(WorkdirError, match=rf"predictions\.npz .*{problem}"):
        read_run(workdir)


def test_predictions_that_are_not_finite_are_read_as_such(workdir):
    _change_arrays(workdir, probabilities=np.full((100, 10), np.nan, np.float32))
    assert not read_run(workdir).predictions.finite


def test_reads_an_evaluation_with_its_runs_config(workdir):
    write_evaluation(workdir, "val", examples=50)
    evaluation = read_evaluation(workdir, "val")
    assert (evaluation.summary.split, evaluation.summary.examples) == ("val", 50)
    assert evaluation.config["seed"] == 0


def test_an_evaluation_that_was_not_made(workdir):
    with pytest.raises(WorkdirError, match=r"evaluations/test/summary.json is missing; run scripts/evaluate.py"):
        read_evaluation(workdir, "test")
    with pytest.raises(WorkdirError, match=r"no split 'tset'; .* did you mean 'test'"):
        read_evaluation(workdir, "tset")


def test_an_evaluation_of_another_split_is_refused(workdir):
    _change(write_evaluation(workdir, "val", examples=50) / "summary.json", split="test")
    with pytest.raises(WorkdirError, match="split = 'test', which is not val"):
        read_evaluation(workdir, "val")


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("pristine") / "run", epochs=2, examples=20)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(FILES), st.data())
def test_bytes_changed_anywhere_are_read_or_refused(pristine, name, data):
    original = (pristine / name).read_bytes()
    at = data.draw(st.integers(0, len(original)), label="at")
    replaced = data.draw(st.integers(0, 8), label="replaced")
    content = original[:at] + data.draw(st.binary(max_size=12), label="by") + original[at + replaced :]
    (pristine / name).write_bytes(content)
    try:
        with contextlib.suppress(WorkdirError):
            read_run(pristine)
    finally:
        (pristine / name).write_bytes(original)
