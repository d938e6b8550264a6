from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import toy

from fmnist_jax import data
from fmnist_jax.data import FASHION_MNIST
from fmnist_jax.errors import ConfigError, DataError, WorkdirError
from fmnist_jax.report import write_evaluation_report
from fmnist_jax.runtime import compiler
from fmnist_jax.train.evaluation import evaluate, load_trained
from fmnist_jax.train.loop import train
from fmnist_jax.train.workdir import described_data


@pytest.fixture
def run(tmp_path, finished) -> Path:
    """A copy of the finished run, to be changed."""
    return Path(shutil.copytree(finished, tmp_path / "run"))


def _summary(workdir: Path) -> dict:
    return json.loads((workdir / "summary.json").read_text())


@pytest.mark.smoke
def test_the_test_set_is_scored_as_at_the_end_of_the_run(run):
    summary, scored = _summary(run), evaluate(run, "test")
    assert scored == {
        "split": "test",
        "loss": summary["test_loss"],
        "accuracy": summary["test_accuracy"],
        "examples": toy.TEST,
        "checkpoint": "last",
        "checkpoint_epoch": 2,
        "data": "csv",
        "synthetic": False,
        "validation_is_test": False,
        "model": "toy",
        "optimizer": "rmsprop",
        "seed": 0,
    }
    folder = run / "evaluations" / "test"
    assert _summary(folder) == scored
    assert (folder / "confusion_matrix.csv").read_bytes() == (run / "confusion_matrix.csv").read_bytes()
    assert (folder / "predictions.npz").read_bytes() == (run / "predictions.npz").read_bytes()
    assert "csv" in write_evaluation_report(run, "test").read_text()


@pytest.mark.parametrize(("split", "examples"), [("val", 11), ("train", 39)])
def test_the_other_splits_are_the_runs_own(run, split, examples):
    scored = evaluate(run, split)
    assert scored["examples"] == examples
    if split == "val":
        assert scored["loss"] == pytest.approx(_summary(run)["val_loss"], rel=1e-6)
        assert scored["accuracy"] == _summary(run)["val_accuracy"]
    with np.load(run / "evaluations" / split / "predictions.npz") as file:
        assert len(file["labels"]) == examples


def test_evaluating_changes_nothing_of_the_run(run):
    def contents():
        files = (path for path in run.rglob("*") if path.is_file() and "evaluations" not in path.parts)
        return {path: path.read_bytes() for path in files}

    before = contents()
    evaluate(run, "val")
    assert contents() == before


def test_predictions_are_those_of_the_run(finished, finished_config):
    images = data.load(finished_config.data).test.images
    with np.load(finished / "predictions.npz") as file:
        expected = file["probabilities"]
    probabilities = load_trained(finished).predict(images)
    assert (probabilities.dtype, probabilities.shape) == (np.float32, (toy.TEST, 10))
    assert (probabilities == expected).all()
    np.testing.assert_allclose(load_trained(finished).predict(images[3:4]), expected[3:4], rtol=1e-5)


def test_the_data_of_an_older_manifest_are_described_as_fashion_mnist(run):
    manifest = json.loads((run / "manifest.json").read_text())
    description = described_data(manifest)
    assert description == dataclasses.replace(FASHION_MNIST, name="csv")
    del manifest["data"]["class_names"], manifest["data"]["image_shape"]
    assert described_data(manifest) == description


def test_what_is_loaded_is_the_newest_checkpoint(finished, finished_config):
    trained = load_trained(finished)
    assert trained.config.to_dict() == finished_config.to_dict()
    assert trained.checkpoint.epoch == 2
    assert [record["epoch"] for record in trained.checkpoint.history] == [1, 2]


def test_a_damaged_newest_checkpoint_is_passed_over_and_the_epoch_says_so(run, capsys):
    shutil.rmtree(run / "checkpoints" / "2" / "state")
    assert evaluate(run, "test")["checkpoint_epoch"] == 1
    assert "checkpoints/2 is damaged" in capsys.readouterr().err


def test_the_best_checkpoint_and_that_of_an_epoch_are_scored_beside_the_last(run):
    history = load_trained(run).checkpoint.history
    best = max(history, key=lambda record: (record["val_accuracy"], record["epoch"]))["epoch"]
    last = evaluate(run, "val")
    for checkpoint, epoch in (("best", best), ("1", 1), ("2", 2)):
        scored = evaluate(run, "val", checkpoint)
        assert (scored["checkpoint"], scored["checkpoint_epoch"]) == (checkpoint, epoch)
        assert scored["accuracy"] == history[epoch - 1]["val_accuracy"]
        assert load_trained(run, checkpoint).checkpoint.epoch == epoch
        assert write_evaluation_report(run, "val", checkpoint).exists()
    folders = {"val", "val-best", "val-epoch1", "val-epoch2"}
    assert {path.name for path in (run / "evaluations").iterdir()} == folders
    assert _summary(run / "evaluations" / "val") == last


@pytest.mark.parametrize("checkpoint", ["3", "0", "01", "-1", "newest", ""])
def test_a_checkpoint_that_does_not_exist_is_refused_with_those_that_do(run, checkpoint):
    with pytest.raises(ConfigError) as caught:
        evaluate(run, "test", checkpoint)
    assert str(caught.value) == f"--checkpoint must be best, last or an epoch of 1, 2, not {checkpoint!r}"
    assert not (run / "evaluations").exists()


def test_no_best_checkpoint_is_chosen_by_the_test_set(tmp_path, toy_data):
    train(toy.toy_config(toy_data, model__name="linear", train__epochs=1), tmp_path)
    with pytest.raises(ConfigError, match=r"best needs a validation split.* or take last or an epoch of 1"):
        evaluate(tmp_path, "test", "best")
    assert evaluate(tmp_path, "test", "1")["checkpoint_epoch"] == 1


def test_a_damaged_checkpoint_that_was_asked_for_is_an_error(run):
    shutil.rmtree(run / "checkpoints" / "1" / "state")
    with pytest.raises(WorkdirError, match=r"checkpoints/1 is damaged \(.*\); take another one: .* epochs 1, 2$"):
        evaluate(run, "test", "1")


@pytest.mark.parametrize("split", ["tests", "validation", ""])
def test_an_unknown_split_is_refused(run, split):
    with pytest.raises(ConfigError, match=r"--split must be one of train, val, test, not "):
        evaluate(run, split)
    assert not (run / "evaluations").exists()


def _remove(name: str):
    def change(run: Path) -> None:
        (run / name).unlink()

    return change


def _write(name: str, content: str):
    def change(run: Path) -> None:
        (run / name).write_text(content)

    return change


def _rename_key(run: Path, old: str, new: str) -> None:
    config = (run / "config.json").read_text()
    (run / "config.json").write_text(config.replace(f'"{old}"', f'"{new}"'))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (shutil.rmtree, r"holds no run \(no config\.json\)"),
        (_remove("config.json"), r"holds no run \(no config\.json\)"),
        (
            lambda run: _rename_key(run, "conv_algorithm", "conv_lowering"),
            r"config\.json is not a valid config \(config\.model\.conv_lowering is now config\.model\.conv_algorithm\)",
        ),
        (_write("config.json", "{}"), r"config\.json is not a valid config \(config\.seed is missing"),
        (_remove("manifest.json"), r"manifest\.json is missing; restore it or take another workdir"),
        (_write("config.json", "[1, 2]"), r"config\.json is not a JSON object"),
        (_write("manifest.json", '{"data": {"name": "csv"}}'), r"manifest\.json does not describe the data"),
        (
            _write(
                "manifest.json", '{"data": {"name": "a", "digests": {}, "examples": {"train": 1}, "image_shape": 28}}'
            ),
            r"manifest\.json does not describe the data",
        ),
        (_write("manifest.json", '{"data": [1]}'), r"manifest\.json does not describe the data"),
        (lambda run: shutil.rmtree(run / "checkpoints"), "has no checkpoint yet"),
        (lambda run: [shutil.rmtree(each) for each in run.glob("checkpoints/[1-9]*")], "has no checkpoint yet"),
        (lambda run: [shutil.rmtree(folder) for folder in run.glob("checkpoints/*/state")], "every checkpoint in"),
    ],
)
def test_a_run_that_is_not_whole_is_an_error_that_says_what_is_missing(run, change, message):
    change(run)
    for scored in (lambda: evaluate(run, "test"), lambda: load_trained(run)):
        with pytest.raises(WorkdirError, match=message):
            scored()
    assert not (run / "evaluations").exists()


def test_other_data_than_the_runs_are_refused(tmp_path):
    folder = toy.write_csv(tmp_path / "data")
    train(toy.toy_config(folder, model__name="linear", train__epochs=1), tmp_path / "run")
    toy.write_csv(folder, seed=9)
    with pytest.raises(DataError, match="began with csv data of other content"):
        evaluate(tmp_path / "run", "test")
    assert not (tmp_path / "run" / "evaluations").exists()


def test_the_checkpoint_of_another_network_is_refused(run):
    config = (run / "config.json").read_text()
    (run / "config.json").write_text(config.replace('"toy"', '"toy-batchnorm"'))
    with pytest.raises(WorkdirError, match=r"does not fit this run: .* is .*, expected .*; use a fresh workdir"):
        evaluate(run, "test")


def test_scoring_is_compiled_with_the_options_of_training(run, monkeypatch):
    compiled, compile_lowered = [], compiler.compile_lowered

    def recording(lowered):
        compiled.append(compile_lowered(lowered))
        return compiled[-1]

    monkeypatch.setattr(compiler, "compile_lowered", recording)
    evaluate(run, "test")
    assert len(compiled) == 2  # evaluate and predict
    load_trained(run).predict(np.zeros((1, 28, 28), np.uint8))
    assert len(compiled) == 3
