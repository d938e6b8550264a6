from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import time
from pathlib import Path

import event_files
import jax
import numpy as np
import pytest
import toy

from fmnist_jax import data
from fmnist_jax.errors import ConfigError, DataError, UserError, WorkdirError
from fmnist_jax.report import write_run_report
from fmnist_jax.train import loop, manifest, writers
from fmnist_jax.train.claim import locked
from fmnist_jax.train.evaluation import evaluate, load_trained
from fmnist_jax.train.interrupts import Interrupted, Interrupts
from fmnist_jax.train.loop import train

EPOCH_KEYS = {
    "epoch",
    "step",
    "train_loss",
    "train_accuracy",
    "val_loss",
    "val_accuracy",
    "learning_rate",
    "examples_per_second",
    "train_seconds",
    "eval_seconds",
}
TIMINGS = {"examples_per_second", "train_seconds", "eval_seconds", "statistics_seconds", "compile_seconds"}


def _strict_json(text: str):
    def refuse(constant: str):
        raise ValueError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)


def _metrics(workdir: Path) -> list[dict]:
    return [_strict_json(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]


def _untimed(record: dict) -> dict:
    return {key: value for key, value in record.items() if key not in TIMINGS}


def _manifest(workdir: Path) -> dict:
    return _strict_json((workdir / "manifest.json").read_text())


def _contents(workdir: Path) -> dict[str, bytes]:
    return {str(p.relative_to(workdir)): p.read_bytes() for p in workdir.rglob("*") if p.is_file()}


def _checkpoints(workdir: Path) -> list[int]:
    return sorted(int(path.name) for path in (workdir / "checkpoints").glob("[1-9]*"))


class _Stopped(Interrupts):
    """Interrupts, of which one was received at once: training stops after one epoch."""

    def __enter__(self):
        self.received = signal.SIGTERM
        return super().__enter__()


def _train_one_epoch_only(config, workdir: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "Interrupts", _Stopped)
        with pytest.raises(Interrupted, match="stopped after epoch 1") as stop:
            train(config, workdir)
    assert stop.value.exit_code == 143
    assert [record["epoch"] for record in _metrics(workdir)] == _checkpoints(workdir) == [1]
    assert not (workdir / "summary.json").exists()


# Saving and restoring the state of every optimizer is tested with the checkpoints; these have states of other kinds.
OPTIMIZERS = ("adam", "muon", "schedule-free-adamw", "soap", "sophia")
RESUMED = [
    *(pytest.param({"model__name": "linear", "optimizer__name": name}, id=name) for name in OPTIMIZERS),
    pytest.param({}, id="dropout"),
    pytest.param({"model__name": "toy-batchnorm"}, id="batchnorm"),
    pytest.param(
        {
            "model__name": "linear",
            "optimizer__name": "adamw",
            "optimizer__clip_norm": 0.5,
            "schedule__name": "cosine",
            "schedule__warmup": "10%",
            "train__ema_decay": 0.9,
            "train__score_test": True,
            "data__val_examples": 11,
        },
        id="everything",
    ),
]


@pytest.mark.parametrize("changes", RESUMED)
def test_a_resumed_run_is_the_uninterrupted_one_bit_for_bit(tmp_path, toy_data, changes):
    config = toy.toy_config(toy_data, **changes)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    summary = train(config, whole)
    _train_one_epoch_only(config, parts)
    assert _untimed(train(config, parts)) == _untimed(summary)
    assert [_untimed(r) for r in _metrics(parts)] == [_untimed(r) for r in _metrics(whole)]
    a, b = (load_trained(workdir).checkpoint for workdir in (whole, parts))
    assert a.epoch == b.epoch == 2
    assert jax.tree.structure(a.state) == jax.tree.structure(b.state)
    for left, right in zip(jax.tree.leaves(a.state), jax.tree.leaves(b.state), strict=True):
        assert left.dtype == right.dtype
        assert np.asarray(left).tobytes() == np.asarray(right).tobytes()
    for name in ("config.json", "confusion_matrix.csv", "predictions.npz"):
        assert (whole / name).read_bytes() == (parts / name).read_bytes()


def _summary(workdir: Path) -> dict:
    return _strict_json((workdir / "summary.json").read_text())


@pytest.mark.smoke
def test_what_a_run_leaves(finished):
    summary = _summary(finished)
    names = {path.name for path in finished.iterdir()} - {".lock"}
    assert names == {
        "config.json",
        "manifest.json",
        "metrics.jsonl",
        "summary.json",
        "confusion_matrix.csv",
        "predictions.npz",
        "checkpoints",
        "tensorboard",
    }
    last = _metrics(finished)[-1]
    figures = last.keys() - TIMINGS - {"learning_rate"}
    assert {key: summary[key] for key in figures} == {key: last[key] for key in figures}
    expected = {
        "status": "finished",
        "data": "csv",
        "synthetic": False,
        "validation_is_test": False,
        "model": "toy",
        "optimizer": "rmsprop",
        "parameters": 49 * 12 + 12 + 12 * 10 + 10,
        "seed": 0,
        "epoch": 2,
        "epochs": 2,
        "step": 2 * 3,
        "train_examples": 39,
        "scored_split": "test",
        "scored_examples": toy.TEST,
    }
    assert {key: summary[key] for key in expected} == expected


def test_metrics_are_a_line_an_epoch_and_the_test_set_is_scored_once(finished):
    first, last = _metrics(finished)
    assert set(first) == EPOCH_KEYS
    assert set(last) == EPOCH_KEYS | {"test_loss", "test_accuracy"}
    assert (first["epoch"], first["step"], last["epoch"], last["step"]) == (1, 3, 2, 6)
    assert first["learning_rate"] == pytest.approx(1e-3)
    for record in (first, last):
        assert record["examples_per_second"] == pytest.approx(39 / record["train_seconds"])
        assert 0 <= record["val_accuracy"] <= 1


def test_the_manifest_says_what_a_figure_needs(finished, toy_data):
    manifest = _strict_json((finished / "manifest.json").read_text())
    assert manifest["optimizer"] == {"name": "rmsprop", "learning_rate": 0.001, "decay": 0.9, "eps": 1e-07}
    assert manifest["data"]["examples"] == {"train": 39, "val": 11, "test": toy.TEST}
    assert manifest["data"]["class_names"] == list(data.FASHION_MNIST.class_names)
    assert manifest["data"]["image_shape"] == [28, 28, 1]
    assert manifest["data"]["digests"] == dict(data.load(toy.toy_config(toy_data).data).digests)
    assert manifest["versions"]["jax"] == jax.__version__
    assert manifest["model"] == {"name": "toy", "parameters": _summary(finished)["parameters"]}
    assert {"command", "started", "git_sha", "git_dirty", "device", "seed"} <= manifest.keys()


def test_the_confusion_matrix_and_the_predictions_are_of_the_scored_split(finished, toy_data):
    summary = _summary(finished)
    test = data.load(toy.toy_config(toy_data).data).test
    with (finished / "confusion_matrix.csv").open() as file:
        header, *rows = csv.reader(file)
    assert header == ["true\\predicted", *data.FASHION_MNIST.class_names]
    assert [row[0] for row in rows] == list(data.FASHION_MNIST.class_names)
    confusion = np.array([[int(cell) for cell in row[1:]] for row in rows])
    with np.load(finished / "predictions.npz") as file:
        arrays = dict(file)
    predicted = arrays["probabilities"].argmax(axis=1)
    assert (arrays["labels"] == test.labels).all()
    assert (confusion == np.bincount(10 * test.labels + predicted, minlength=100).reshape(10, 10)).all()
    assert np.trace(confusion) / confusion.sum() == summary["test_accuracy"]
    true = arrays["probabilities"][np.arange(toy.TEST), test.labels]
    assert summary["test_loss"] == pytest.approx(-np.log(true).mean(), rel=1e-5)
    mistakes = arrays["mistake_index"]
    assert sorted(mistakes) == np.flatnonzero(predicted != test.labels)[:25].tolist()
    assert (np.diff(arrays["probabilities"].max(axis=1)[mistakes]) <= 0).all()
    assert (arrays["mistake_images"] == test.images[mistakes]).all()


def test_a_finished_run_is_left_as_it_is(finished, finished_config, monkeypatch):
    before = _contents(finished)
    monkeypatch.setattr(loop, "Training", None)  # whatever trains fails
    assert train(finished_config, finished) == _summary(finished)
    assert _contents(finished) == before


def test_another_config_is_refused_by_its_keys(finished, finished_config):
    config = finished_config.copy_and_resolve_references()
    config.seed, config.optimizer.learning_rate = 3, 0.01
    before = _contents(finished)
    differing = r"config\.optimizer\.learning_rate: None, not 0\.01; config\.seed: 0, not 3"
    with pytest.raises(WorkdirError, match=differing):
        train(config, finished)
    assert _contents(finished) == before


def test_other_data_are_refused(tmp_path):
    folder = toy.write_csv(tmp_path / "data")
    config = toy.toy_config(folder, model__name="linear")
    _train_one_epoch_only(config, tmp_path / "run")
    toy.write_csv(folder, seed=5)
    before = _contents(tmp_path / "run")
    with pytest.raises(DataError, match=r"began with csv data of other content"):
        train(config, tmp_path / "run")
    assert _contents(tmp_path / "run") == before


def test_a_workdir_in_use_is_refused(tmp_path, toy_data):
    with locked(tmp_path / "run"), pytest.raises(WorkdirError, match="in use by another process"):
        train(toy.toy_config(toy_data), tmp_path / "run")
    assert [path.name for path in (tmp_path / "run").iterdir()] == [".lock"]


def test_a_workdir_that_is_a_file_is_refused(tmp_path, toy_data):
    (tmp_path / "run").write_text("a file")
    with pytest.raises(WorkdirError, match="run is a file"):
        train(toy.toy_config(toy_data), tmp_path / "run")
    assert (tmp_path / "run").read_text() == "a file"


@pytest.mark.smoke
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"optimizer__name": "adm"}, r"config\.optimizer\.name .*did you mean 'adam'"),
        ({"model__name": "modell1"}, r"config\.model\.name .*did you mean 'model1'"),
        ({"optimizer__momentum": 0.5}, r"config\.optimizer\.momentum is set, but rmsprop does not take it"),
        ({"optimizer__learning_rate": -1.0}, r"config\.optimizer\.learning_rate must be above 0"),
        ({"train__batch_size": 51}, r"config\.train\.batch_size must be at most 50"),
        ({"train__epochs": 0}, r"config\.train\.epochs must be at least 1"),
        ({"schedule__warmup": "soon"}, r"config\.schedule\.warmup: a duration must be like"),
        ({"data__val_examples": 50}, r"config\.data\.val_examples"),
        ({"data__dir": "/nowhere/at/all"}, r"/nowhere/at/all"),
    ],
)
def test_nothing_is_written_for_an_error_of_the_user(tmp_path, toy_data, changes, message):
    with pytest.raises(UserError, match=message):
        train(toy.toy_config(toy_data, **changes), tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_without_a_validation_split_the_test_set_stands_in_and_nothing_is_chosen_by_it(tmp_path, toy_data):
    # Plain descent at a rate that overshoots: the second epoch is worse than the first.
    changes = {"model__name": "linear", "optimizer__name": "sgd", "optimizer__learning_rate": 1.0}
    chosen = train(toy.toy_config(toy_data, data__val_examples=11, checkpoint__keep=1, **changes), tmp_path / "val")
    first, last = (record["val_accuracy"] for record in _metrics(tmp_path / "val"))
    assert first > last
    assert (chosen["validation_is_test"], chosen["scored_split"], chosen["scored_examples"]) == (False, "val", 11)
    assert _checkpoints(tmp_path / "val") == [1, 2]

    summary = train(toy.toy_config(toy_data, checkpoint__keep=1, **changes), tmp_path / "test")
    assert (summary["validation_is_test"], summary["scored_examples"]) == (True, toy.TEST)
    assert _checkpoints(tmp_path / "test") == [2]
    assert not {"test_loss", "test_accuracy"} & (summary.keys() | _metrics(tmp_path / "test")[-1].keys())


def test_checkpoints_are_written_every_so_often_and_after_the_last_epoch(tmp_path, toy_data):
    config = toy.toy_config(toy_data, model__name="linear", train__epochs=5, checkpoint__every=2, checkpoint__keep=9)
    config.schedule.name = "linear"
    train(config, tmp_path)
    assert _checkpoints(tmp_path) == [2, 4, 5]
    # What is recorded is the rate of an epoch's last step.
    rates = [1e-3 * (1 - (toy.STEPS * epoch - 1) / (5 * toy.STEPS)) for epoch in range(1, 6)]
    assert [record["learning_rate"] for record in _metrics(tmp_path)] == pytest.approx(rates)


@pytest.mark.parametrize("train_examples_at_once", [toy.BATCH, toy.TRAIN])
def test_a_diverged_run_is_recorded_as_such(tmp_path, toy_data, train_examples_at_once):
    """In the second case the only step of the first epoch spoils the parameters: its training loss was still finite."""
    changes = {"optimizer__name": "sgd", "optimizer__learning_rate": 1e30, "train__batch_size": train_examples_at_once}
    config = toy.toy_config(toy_data, train__epochs=3, **changes)
    summary = train(config, tmp_path)
    assert (summary["status"], summary["epoch"], summary["epochs"]) == ("diverged", 1, 3)
    assert summary["val_loss"] is None
    assert (summary["train_loss"] is None) == (train_examples_at_once == toy.BATCH)
    assert summary == _strict_json((tmp_path / "summary.json").read_text())
    assert len(_metrics(tmp_path)) == 1
    assert train(config, tmp_path) == summary
    if train_examples_at_once == toy.BATCH:
        assert "DIVERGED" in write_run_report(tmp_path).read_text()


def test_throughput_is_of_training_alone(tmp_path, toy_data, monkeypatch):
    compile_ = jax.stages.Lowered.compile

    def slowly(*arguments, **options):
        time.sleep(0.5)
        return compile_(*arguments, **options)

    monkeypatch.setattr(jax.stages.Lowered, "compile", slowly)
    summary = train(toy.toy_config(toy_data), tmp_path)
    assert summary["compile_seconds"] > 1  # that of the epoch and that of the evaluation
    assert summary["train_seconds"] < 0.5
    assert summary["train_seconds"] == pytest.approx(sum(record["train_seconds"] for record in _metrics(tmp_path)))


@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_with_a_checkpoint_whenever_it_comes(tmp_path, toy_data, monkeypatch, number, exit_code):
    """Here it comes when the epoch's checkpoint, which was not due, was passed over already."""
    write = writers.Events.write

    def interrupted(events, record):
        write(events, record)
        if record["epoch"] == 1:
            os.kill(os.getpid(), number)

    monkeypatch.setattr(writers.Events, "write", interrupted)
    config = toy.toy_config(toy_data, train__epochs=5, checkpoint__every=4)
    handlers = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with pytest.raises(Interrupted) as stop:
        train(config, tmp_path)
    assert stop.value.exit_code == exit_code
    (epoch,) = _checkpoints(tmp_path)
    assert str(stop.value) == f"stopped after epoch {epoch}"
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == handlers


def test_a_run_stopped_after_its_last_epoch_is_scored_by_the_next_call(tmp_path, toy_data):
    config = toy.toy_config(toy_data, train__epochs=1)
    _train_one_epoch_only(config, tmp_path)
    summary = train(config, tmp_path)
    assert (summary["status"], summary["compile_seconds"]) == ("finished", 0)


def _crash_after(epoch: int, config, workdir: Path) -> None:
    """Trains until epoch `epoch` is recorded, and fails there as a program killed would."""
    write = writers.Events.write

    def crashing(events, record):
        write(events, record)
        if record["epoch"] == epoch:
            raise MemoryError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writers.Events, "write", crashing)
        with pytest.raises(MemoryError):
            train(config, workdir)


def test_a_crashed_run_goes_on_from_its_checkpoint_and_records_each_epoch_once(tmp_path, toy_data):
    config = toy.toy_config(toy_data, train__epochs=3, checkpoint__every=2)
    _crash_after(1, config, tmp_path)
    _crash_after(3, config, tmp_path)
    train(config, tmp_path)
    metrics = _metrics(tmp_path)
    assert [record["epoch"] for record in metrics] == [1, 2, 3]
    events = event_files.read(tmp_path / "tensorboard")
    assert {tag.replace("/", "_", 1) for tag in events} == EPOCH_KEYS - {"epoch", "step"}
    for tag, steps in events.items():
        expected = {record["step"]: record[tag.replace("/", "_", 1)] for record in metrics}
        assert steps == pytest.approx(expected, rel=1e-6)


def test_scores_that_a_crash_kept_from_being_written_are_written_by_the_next_call(tmp_path, toy_data):
    config = toy.toy_config(toy_data, train__score_test=True)
    _crash_after(2, config, tmp_path)
    assert _checkpoints(tmp_path)[-1] == 2
    summary = train(config, tmp_path)
    assert summary["status"] == "finished"
    assert _metrics(tmp_path)[-1]["test_accuracy"] == summary["test_accuracy"]
    assert summary["compile_seconds"] == 0


def test_a_damaged_config_is_an_error_that_says_so(tmp_path, toy_data):
    config = toy.toy_config(toy_data, model__name="linear")
    _train_one_epoch_only(config, tmp_path)
    (tmp_path / "config.json").write_text('{"seed": ')
    with pytest.raises(WorkdirError, match=r"config\.json is not JSON"):
        train(config, tmp_path)


def test_each_start_is_recorded_with_what_has_changed(tmp_path, toy_data, capsys, monkeypatch):
    config = toy.toy_config(toy_data, model__name="linear")
    _train_one_epoch_only(config, tmp_path)
    assert "restarts" not in _manifest(tmp_path)
    monkeypatch.setattr(manifest, "code", lambda: {"git_sha": "0" * 40, "git_dirty": False})
    train(config, tmp_path)
    (start,) = _manifest(tmp_path)["restarts"]
    assert (start["git_sha"], start["command"]) == ("0" * 40, _manifest(tmp_path)["command"])
    assert "note: resumed with other code: figures can differ in rounding" in capsys.readouterr().err
    train(config, tmp_path)  # it is finished: nothing starts
    assert len(_manifest(tmp_path)["restarts"]) == 1


def test_a_run_begun_in_another_data_order_is_scored_but_not_continued(tmp_path, toy_data):
    config = toy.toy_config(toy_data, model__name="linear")
    _train_one_epoch_only(config, tmp_path)
    recorded = _manifest(tmp_path)
    del recorded["data_order"]  # as an earlier version wrote it
    (tmp_path / "manifest.json").write_text(json.dumps(recorded))
    with pytest.raises(WorkdirError, match="drew its batches in another order"):
        train(config, tmp_path)
    assert evaluate(tmp_path, split="test")["accuracy"] > 0


def test_a_finished_run_goes_on_to_more_epochs(tmp_path, toy_data):
    def config(epochs):
        return toy.toy_config(toy_data, model__name="linear", train__epochs=epochs, schedule__warmup="3 steps")

    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train(config(4), whole)
    train(config(2), parts)
    assert _untimed(train(config(4), parts)) == _untimed(json.loads((whole / "summary.json").read_text()))
    assert [_untimed(r) for r in _metrics(parts)] == [_untimed(r) for r in _metrics(whole)]
    assert [start["epochs"] for start in _manifest(parts)["restarts"]] == [4]
    assert (parts / "config.json").read_bytes() == (whole / "config.json").read_bytes()
    with pytest.raises(WorkdirError, match=r"config\.train\.epochs: 4, not 3"):
        train(config(3), parts)


def test_a_schedule_that_depends_on_the_number_of_epochs_cannot_go_on(tmp_path, toy_data):
    def config(epochs):
        return toy.toy_config(toy_data, model__name="linear", train__epochs=epochs, schedule__name="cosine")

    train(config(1), tmp_path)
    before = (tmp_path / "summary.json").read_bytes()
    with pytest.raises(WorkdirError, match="planned for 1 epochs and cannot go on to 2: its schedule 'cosine'"):
        train(config(2), tmp_path)
    assert (tmp_path / "summary.json").read_bytes() == before


@pytest.mark.parametrize("name", ["metrics.jsonl", "predictions.npz", "confusion_matrix.csv", "summary.json"])
def test_an_empty_file_of_a_finished_run_is_made_again(name, tmp_path, finished, finished_config, capsys):
    shutil.copytree(finished, tmp_path / "run")
    (tmp_path / "run" / name).write_bytes(b"")
    summary = train(finished_config, tmp_path / "run")
    assert name in capsys.readouterr().err
    assert _untimed(summary) == _untimed(json.loads((finished / "summary.json").read_text()))
    if name != "summary.json":
        assert (tmp_path / "run" / name).read_bytes() == (finished / name).read_bytes()


def test_training_stops_once_the_validation_accuracy_no_longer_improves(tmp_path, toy_data):
    settings = {"data__val_examples": 11, "train__epochs": 30, "model__name": "linear"}
    patient = toy.toy_config(toy_data, train__patience=2, **settings)
    summary = train(patient, tmp_path / "patient")
    accuracies = [record["val_accuracy"] for record in _metrics(tmp_path / "patient")]
    best = accuracies.index(max(accuracies))
    assert (summary["status"], summary["epoch"]) == ("finished", len(accuracies))
    assert len(accuracies) == best + 3 < 30
    _train_one_epoch_only(patient, tmp_path / "parts")
    assert _untimed(train(patient, tmp_path / "parts")) == _untimed(summary)
    with pytest.raises(ConfigError, match=r"config\.train\.patience needs a validation split"):
        train(toy.toy_config(toy_data, train__patience=2), tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_the_data_may_move_and_a_relative_folder_is_resolved(tmp_path, toy_data, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(toy_data, "here")
    config = toy.toy_config(Path("here"), model__name="linear", train__epochs=1)
    summary = train(config, "run")
    assert json.loads(Path("run/config.json").read_text())["data"]["dir"] == str(tmp_path / "here")
    Path("here").rename("there")
    monkeypatch.setenv("FMNIST_DATA_DIR", str(tmp_path / "there"))
    assert evaluate("run", "val")["loss"] == summary["val_loss"]
    config.data.dir = "there"
    assert train(config, "run") == summary


def test_a_full_disk_is_one_error(tmp_path, toy_data, monkeypatch):
    def full(path, lines, *, create):
        raise WorkdirError("the disk is full")

    def fails(self):
        raise OSError(28, "No space left on device")

    config = toy.toy_config(toy_data, model__name="linear")
    with monkeypatch.context() as patch:
        patch.setattr(loop, "append", full)
        patch.setattr(writers.SummaryWriter, "close", fails)
        with pytest.raises(WorkdirError, match="the disk is full"):
            train(config, tmp_path / "run")
    with monkeypatch.context() as patch:
        patch.setattr(writers.SummaryWriter, "close", fails)
        with pytest.raises(WorkdirError, match="tensorboard cannot be written"):
            train(config, tmp_path / "run")
    assert _untimed(train(config, tmp_path / "run")) == _untimed(train(config, tmp_path / "other"))


def test_a_workdir_that_vanishes_ends_the_run(tmp_path, toy_data, monkeypatch):
    config = toy.toy_config(toy_data, model__name="linear", train__epochs=5)
    write, seen = writers.Events.write, []

    def vanishes(events, record):
        write(events, record)
        seen.append(record["epoch"])
        (tmp_path / "run").rename(tmp_path / f"moved{record['epoch']}")
        (tmp_path / "run" / "checkpoints").mkdir(parents=True)  # as a checkpoint that is being written does

    monkeypatch.setattr(writers.Events, "write", vanishes)
    with pytest.raises(WorkdirError, match="cannot be written"):
        train(config, tmp_path / "run")
    assert seen == [1]
    with pytest.raises(WorkdirError, match="holds checkpoints but no"):
        train(config, tmp_path / "run")
