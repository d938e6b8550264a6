"""A run, an evaluation and a study with metrics beside loss and accuracy: what their files and reports hold."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import event_files
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toy

from fmnist_jax.compare.config import study_config
from fmnist_jax.compare.results import read_runs
from fmnist_jax.compare.runner import compare
from fmnist_jax.data import FASHION_MNIST, Dataset
from fmnist_jax.files.reader import WorkdirReader
from fmnist_jax.report import write_run_report, write_study_report
from fmnist_jax.report.run.report import write_evaluation_report
from fmnist_jax.train.evaluation import evaluate
from fmnist_jax.train.loop import train
from fmnist_jax.train.metrics import METRICS, Metric, register
from fmnist_jax.train.network import Member
from fmnist_jax.train.population import Population
from fmnist_jax.train.run import member_of

METRIC_NAMES = ("top2", "nll", "own")


@pytest.fixture(scope="module", autouse=True)
def own_metric():
    """Registers a metric of several sums, whose finish is no mean."""
    entries, METRICS.entries = METRICS.entries, dict(METRICS.entries)
    register("own", Metric(_confident, True, lambda sums, examples: float(np.sqrt(sums / examples).max())))
    yield
    METRICS.entries = entries


def _confident(logits: jax.Array, labels: jax.Array) -> jax.Array:
    del labels
    return jax.nn.softmax(logits) ** 2


@pytest.fixture(scope="module")
def workdir(tmp_path_factory, toy_data) -> Path:
    """The workdir of a finished run; not to be changed."""
    config = toy.toy_config(toy_data, data__val_examples=11, train__score_test=True, model__name="linear")
    config.eval.metrics, config.loss.label_smoothing, config.optimizer.learning_rate = METRIC_NAMES, 0.1, 0.03
    folder = tmp_path_factory.mktemp("run")
    train(config, folder)
    return folder


def _read(path: Path) -> Any:
    return json.loads(path.read_text())


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_run_records_them_after_each_epoch(workdir):
    first, last = _lines(workdir / "metrics.jsonl")
    names = {f"val_{name}" for name in METRIC_NAMES}
    assert names <= first.keys()
    assert names | {f"test_{name}" for name in METRIC_NAMES} <= last.keys()
    assert not {f"train_{name}" for name in METRIC_NAMES} & last.keys()
    # The loss has the smoothing, of the validation images too; the likelihood has none.
    assert last["val_loss"] > last["val_nll"] + 0.01
    summary = _read(workdir / "summary.json")
    assert {key: summary[key] for key in last if key.startswith(("val_", "test_"))} == {
        key: value for key, value in last.items() if key.startswith(("val_", "test_"))
    }
    assert _read(workdir / "manifest.json")["metrics"] == {
        "top2": "higher is better",
        "nll": "lower is better",
        "own": "higher is better",
    }
    events = event_files.read(workdir / "tensorboard")
    assert list(events["val/nll"].values()) == pytest.approx([first["val_nll"], last["val_nll"]])


def test_they_are_those_of_the_predictions(workdir):
    arrays, summary = np.load(workdir / "predictions.npz"), _read(workdir / "summary.json")
    labels, p = arrays["labels"], arrays["probabilities"].astype(float)
    assert summary["test_nll"] == pytest.approx(-np.log(p[np.arange(len(labels)), labels]).mean(), rel=1e-5)
    best = np.argsort(-p, axis=1)[:, :2]
    assert summary["test_top2"] == pytest.approx((best == labels[:, None]).any(axis=1).mean())
    assert summary["test_own"] == pytest.approx(np.sqrt((p**2).mean(axis=0)).max(), rel=1e-5)


def test_an_evaluation_and_the_reports_show_them(workdir, tmp_path):
    run = shutil.copytree(workdir, tmp_path / "run")
    summary, scored = _read(run / "summary.json"), evaluate(run, "test")
    for name in METRIC_NAMES:
        assert scored[f"test_{name}"] == pytest.approx(summary[f"test_{name}"], rel=1e-6)
    trained = evaluate(run, "train")
    assert trained["train_nll"] > 0
    write_run_report(run)
    page = (run / "report.md").read_text()
    assert f"nll on the test set: **{summary['test_nll']:.4f}** (lower is better)" in page
    assert "| Val nll | Val own | Val top2 |" in page
    assert "mean cross-entropy with label smoothing 0.1" in page
    assert (run / "plots" / "metrics.png").is_file()
    write_evaluation_report(run, "train")
    page = (run / "evaluations" / "train" / "report.md").read_text()
    assert f"{trained['train_nll']:.4f}" in page


def test_a_member_of_one_program_has_those_of_the_single_run():
    config = toy.toy_config(model__name="linear", optimizer__name="sgd", eval__metrics=METRIC_NAMES, train__epochs=1)
    splits = toy.split(toy.TRAIN), toy.split(11, seed=2), toy.split(toy.TEST, seed=1)
    dataset = Dataset(FASHION_MNIST, *splits, "made up", {})
    member = member_of(config)
    other = Member(jnp.uint32(7), {"learning_rate": jnp.float32(0.1)})
    alone = Population(config, dataset, executor="threads").train([member]).histories[0]
    history = Population(config, dataset, executor="vmap").train([other, member]).histories[1]
    for record, expected in zip(history, alone, strict=True):
        for name in (f"val_{name}" for name in METRIC_NAMES):
            assert record[name] == pytest.approx(expected[name], rel=1e-5)


def test_a_study_ranks_arms_with_a_column_for_each(toy_data, tmp_path):
    config = study_config()
    config.data.update(name="csv", dir=str(toy_data), val_examples=11)
    config.train.batch_size, config.eval.metrics = toy.BATCH, METRIC_NAMES
    # The second diverges.
    config.study.update(optimizers=("sgd", "sgd:learning_rate=1e38"), models=("linear",), epochs=(2,), seeds=2)
    config.study.score_test = True
    compare(config, tmp_path)
    runs = read_runs(WorkdirReader(tmp_path, ""))
    kept = [run for run in runs if not run.diverged]
    assert len(kept) == 2
    assert len(runs) == 4
    last = _lines(tmp_path / "results.jsonl")[1]
    assert last["test_nll"] == kept[0].last.metrics["test_nll"]
    before = (tmp_path / "results.jsonl").read_bytes()
    compare(config, tmp_path)  # reads its own files
    assert (tmp_path / "results.jsonl").read_bytes() == before
    with (tmp_path / "results.csv").open() as file:
        assert float(next(csv.DictReader(file))["test_nll"]) == last["test_nll"]
    write_study_report(tmp_path)
    page = (tmp_path / "report.md").read_text()
    assert "| top2 (higher is better) | nll (lower is better) | own (higher is better) |" in page
    mean = np.mean([run.last.metrics["test_nll"] for run in kept])
    with (tmp_path / "table.csv").open() as file:
        first, second = csv.DictReader(file)
    assert float(first["test_nll"]) == pytest.approx(mean)
    assert second["test_nll"] == ""
    assert f"| {mean:.4f} |" in page
    assert _read(tmp_path / "summary.json")["workloads"][0]["arms"][0]["metrics"]["test_nll"] == pytest.approx(mean)
