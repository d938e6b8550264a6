"""Networks and an augmentation of docs/examples: killed and resumed, evaluated, predicted, in a study of two arms."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import toy
from kill_and_resume import Subject, differences, kill_and_resume
from ml_collections import ConfigDict
from PIL import Image
from run_script import ROOT, Forked, run_script, train_arguments, write_data

from fmnist_jax.compare.config import study_config
from fmnist_jax.compare.runner import compare
from fmnist_jax.config.python_file import run_registrations
from fmnist_jax.data.augment import AUGMENTATIONS
from fmnist_jax.models.registry import MODELS
from fmnist_jax.report import write_study_report

NETWORKS = {
    "batchnorm_resnet": {"model.options.width": 4, "model.options.blocks": 1, "train.ema_decay": 0.9},
    "linen_network": {"model.options.width": 4},
}
EXAMPLES = NETWORKS | {"my_augmentation": {"model.name": "model1", "model.options.first": 2, "augment.mixup": 0.2}}


def _arguments(name: str, workdir: Path, data: Path, **settings: object) -> list[str]:
    shared = train_arguments(workdir, data, **settings)
    options = [f"--config.{key}={value}" for key, value in EXAMPLES[name].items()]
    return [f"--config=docs/examples/{name}.py", *(a for a in shared if not a.startswith("--config=")), *options]


@pytest.mark.parametrize("name", EXAMPLES)
def test_killed_and_resumed_it_ends_as_if_untouched_and_is_evaluated_and_predicts(name, tmp_path):
    def arguments(workdir: Path, data: Path) -> list[str]:
        return _arguments(name, workdir, data, train__epochs=3)

    subject = Subject("train", write_data, arguments, differences, lambda workdir: "")
    assert kill_and_resume(tmp_path, kills=1, seed=1, subject=subject, start=Forked) == []

    run, picture = tmp_path / "untouched", tmp_path / "garment.png"
    Image.fromarray(toy.split(1).images[0]).save(picture)
    scored = run_script("evaluate", f"--workdir={run}", "--split=val")
    assert (scored.code, scored.err) == (0, "")
    predicted = run_script("predict", f"--workdir={run}", picture)
    assert (predicted.code, predicted.err) == (0, "")


@pytest.fixture
def study(toy_data, monkeypatch) -> Callable[[str], ConfigDict]:
    """Runs a file of docs/examples for what it registers, and returns the config of a small study."""

    def config_for(example: str) -> ConfigDict:
        for registry in (MODELS, AUGMENTATIONS):
            monkeypatch.setattr(registry, "entries", dict(registry.entries))
        run_registrations(ROOT / "docs" / "examples" / f"{example}.py")
        config = study_config()
        config.data.update(name="csv", dir=str(toy_data), val_examples=11)
        config.train.batch_size = toy.BATCH
        config.study.epochs, config.study.seeds = (1,), 2
        return config

    return config_for


def _check_study(config: ConfigDict, workdir: Path) -> None:
    compare(config, workdir)
    with (workdir / "results.csv").open() as file:
        runs = list(csv.DictReader(file))
    assert len(runs) == 4
    assert np.isfinite([float(run["val_loss"]) for run in runs]).all()
    write_study_report(workdir)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_is_compared_in_a_study(name, tmp_path, study):
    config = study(name)
    config.model.options.update({key.rpartition(".")[2]: n for key, n in NETWORKS[name].items() if "options" in key})
    config.study.optimizers, config.study.models = ("sgd", "schedule-free-adamw"), (name,)
    _check_study(config, tmp_path / "study")


def test_arms_of_a_study_are_trained_on_augmented_images(tmp_path, study):
    config = study("my_augmentation")
    config.augment.custom, config.augment.cutmix, config.eval.tta = ("jitter",), 1.0, "flip"
    config.study.optimizers, config.study.models = ("sgd", "adam"), ("linear",)
    _check_study(config, tmp_path / "study")
