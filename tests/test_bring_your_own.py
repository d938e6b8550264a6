"""The examples of docs/bring_your_own.md are config files that train, here with a small network and data set."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from fmnist_jax.config.python_file import read_config_file
from fmnist_jax.config.registry import Registry
from fmnist_jax.data.augment import AUGMENTATIONS
from fmnist_jax.optim import OPTIMIZERS
from fmnist_jax.optim.schedules import SCHEDULES
from fmnist_jax.train.evaluation import evaluate
from fmnist_jax.train.loop import train
from fmnist_jax.train.losses import LOSSES
from fmnist_jax.train.metrics import METRICS

PAGE = Path(__file__).parent.parent / "docs" / "bring_your_own.md"


REGISTRIES: tuple[Registry[Any], ...] = (OPTIMIZERS, SCHEDULES, LOSSES, AUGMENTATIONS, METRICS)


def _forget_registrations(monkeypatch) -> None:
    for registry in REGISTRIES:
        built_in = {name: entry for name, entry in registry.entries.items() if registry.is_built_in(name)}
        monkeypatch.setattr(registry, "entries", built_in)


@pytest.mark.parametrize("title", ["An optimizer", "A schedule", "A loss", "An augmentation", "A metric"])
def test_the_example_trains_and_is_evaluated_again(title: str, toy_data: Path, tmp_path: Path, monkeypatch):
    _forget_registrations(monkeypatch)
    section = PAGE.read_text().split(f"## {title}\n")[1].split("\n## ")[0]
    *_, code = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    assert sum(bool(line.strip()) for line in code.splitlines()) <= 14
    file = tmp_path / "mine.py"
    file.write_text(code)
    config = read_config_file(file)
    config.data.update(name="csv", dir=str(toy_data))
    config.model.name = "linear"
    config.train.update(epochs=2, batch_size=16, eval_batch_size=10)
    summary = train(config, tmp_path / "run", file)
    assert summary["status"] == "finished"
    metrics = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert len(metrics) == 2
    assert {f"val_{name}" for name in config.eval.metrics} <= metrics[0].keys()
    _forget_registrations(monkeypatch)  # evaluating runs the config file once more
    assert evaluate(tmp_path / "run", "val")["loss"] == summary["val_loss"]
