"""A study over data sets of one's own, of different shapes and numbers of classes."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

from fmnist_jax import compare_optimizers, data, study_config, write_study_report
from fmnist_jax.data.sources import DATASETS
from fmnist_jax.errors import ConfigError, DataError

DIVERGES = "sgd:learning_rate=3e38"
SHAPES = {"grey": ((6, 5), 3), "colour": ((4, 4, 3), 5)}


def _register(name: str, seed: int = 0) -> None:
    shape, classes = SHAPES[name]
    labels = np.arange(60) % classes
    images = np.random.default_rng(seed).integers(0, 256, (60, *shape), np.uint8)
    data.register_dataset(name, lambda folder: data.dataset_from_arrays((images, labels), (images[:20], labels[:20])))


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    monkeypatch.setattr(DATASETS, "entries", dict(DATASETS.entries))
    for name in SHAPES:
        _register(name)


def _config(**study):
    config = study_config()
    config.data.val_examples = 12
    config.train.batch_size = 16
    config.study.update({"datasets": ("grey", "colour"), "models": ("flat",), "epochs": (2,), "seeds": 2} | study)
    config.study.optimizers = ("sgd", DIVERGES)
    return config


def _lines(workdir):
    return [json.loads(line) for line in (workdir / "results.jsonl").read_text().splitlines()]


def test_a_study_spans_data_sets_and_its_report_compares_the_arms_on_each(tmp_path):
    assert compare_optimizers(_config(), tmp_path)["runs"] == 8
    lines = _lines(tmp_path)
    assert {(line["dataset"], line["classes"]) for line in lines} == {("grey", 3), ("colour", 5)}
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["models"] == {"grey, flat": 30 * 3 + 3, "colour, flat": 48 * 5 + 5}
    assert {name: record["image_shape"] for name, record in manifest["datasets"].items()} == {
        "grey": [6, 5, 1],
        "colour": [4, 4, 3],
    }
    with (tmp_path / "results.csv").open() as file:
        assert [row["dataset"] for row in csv.DictReader(file)] == ["grey"] * 4 + ["colour"] * 4
    page = write_study_report(tmp_path).read_text()
    assert "Data sets: grey, colour" in page
    assert "The study uses 2 data sets" in page
    summary = json.loads((tmp_path / "summary.json").read_text())
    names = [f"{name}, flat, 2 epochs, constant" for name in SHAPES]
    assert [each["name"] for each in summary["workloads"]] == names
    assert summary["profiles"]["workloads"] == names
    for workload, (_, classes) in zip(summary["workloads"], SHAPES.values(), strict=True):
        worst = next(arm for arm in workload["arms"] if arm["arm"] == DIVERGES)
        assert (worst["failures"], worst["scores"]) == (2, [pytest.approx(1 / classes)] * 2)
        assert f"chance accuracy, {round(100 / classes)}" in " ".join(workload["verdict"])


def test_a_resumed_study_has_the_same_data_in_each_set(tmp_path):
    compare_optimizers(_config(), tmp_path)
    before = (tmp_path / "results.jsonl").read_bytes()
    assert compare_optimizers(_config(), tmp_path)["runs"] == 8
    assert (tmp_path / "results.jsonl").read_bytes() == before
    _register("colour", seed=1)
    with pytest.raises(DataError, match="began with colour data of other content"):
        compare_optimizers(_config(), tmp_path)


def test_a_single_data_set_of_other_than_ten_classes_sets_the_score_of_chance(tmp_path):
    config = _config(datasets=())
    config.data.name = "grey"
    compare_optimizers(config, tmp_path)
    assert all("dataset" not in line and line["classes"] == 3 for line in _lines(tmp_path))
    write_study_report(tmp_path)
    (workload,) = json.loads((tmp_path / "summary.json").read_text())["workloads"]
    (mean,) = [arm["mean"]["value"] for arm in workload["arms"] if arm["arm"] == DIVERGES]
    assert mean == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("datasets", "message"), [(("grey", "gray"), "did you mean 'grey'"), (("auto",), "cannot hold 'auto'")]
)
def test_an_unknown_data_set_is_refused_before_anything_is_written(datasets, message, tmp_path):
    with pytest.raises(ConfigError, match=message):
        compare_optimizers(_config(datasets=datasets), tmp_path / "study")
    assert not (tmp_path / "study").exists()
