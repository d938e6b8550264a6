"""Writes the workdir of a study with simulated learning curves, in the files' own format; for tests of its analysis.

A seed's effect is shared by all arms, as it is where they share initialisation and data order, so that pairing helps.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from workdir_files import manifest

from fmnist_jax.config import schema as config

STEPS = 100  # an epoch
_SPACE = {"learning_rate": {"default": 1e-3, "low": 1e-5, "high": 1.0, "scale": "log"}}
_DEFAULT_RATE = {"sgd": 1e-2, "momentum": 1e-2}
_BEST_RATE = {"sgd": 1e-1, "momentum": 3e-2, "rmsprop": 1e-3, "adam": 1e-3, "nadam": 1e-3}


@dataclasses.dataclass(frozen=True)
class Simulated:
    """What a simulated study is of.

    **Attributes:**

    - `accuracy`: arm -> final validation accuracy that its runs scatter about.
    - `sd`: between the seeds of an arm, of what they do not share.
    - `diverged`: (arm, seed) of the final runs that diverge in their second epoch.
    - `missing`: arms of which no final run is there yet.
    - `chunks`: arm -> the sizes of the chunks of its final runs; in one chunk where it is not in it. An epoch of
      each such chunk takes 6 seconds of wall time, whatever its size, as where a smaller chunk leaves cores idle.
    - `easier`: workload's model -> what it adds to every arm's accuracy.
    """

    accuracy: Mapping[str, float]
    mode: str = "quick"
    models: Sequence[str] = ("model3",)
    epochs: Sequence[int] = (5,)
    schedules: Sequence[str] = ("constant",)
    seeds: int = 5
    trials: int = 1
    targets: Sequence[float] = (0.85, 0.9)
    score_test: bool = False
    sd: float = 0.001
    diverged: frozenset[tuple[str, int]] = frozenset()
    missing: frozenset[str] = frozenset()
    chunks: Mapping[str, Sequence[int]] = dataclasses.field(default_factory=dict)
    easier: Mapping[str, float] = dataclasses.field(default_factory=dict)
    synthetic: bool = False
    val_examples: int = 10_000


def write_study(folder: Path, simulated: Simulated) -> Path:
    """Writes config, manifest, plan, results and chunks of the study into `folder`, and returns it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(study_config(simulated)))
    (folder / "manifest.json").write_text(json.dumps(study_manifest(simulated)))
    written = _Written()
    for workload in _workloads(simulated):
        for arm in simulated.accuracy:
            _add_cell(written, simulated, workload, arm)
    spaces = dict.fromkeys(simulated.accuracy, _SPACE) if simulated.mode == "tuned" else {}
    (folder / "plan.json").write_text(json.dumps({"chunks": written.plan, "spaces": spaces}))
    write_lines(folder, written.lines)
    write_lines(folder, written.chunks, "chunks.jsonl")
    return folder


def study_config(simulated: Simulated) -> dict[str, Any]:
    values = config.default_config().to_dict()
    values["data"]["val_examples"] = simulated.val_examples
    values["study"] = {
        "mode": simulated.mode,
        "optimizers": list(simulated.accuracy),
        "datasets": [],
        "models": list(simulated.models),
        "epochs": list(simulated.epochs),
        "schedules": list(simulated.schedules),
        "seeds": simulated.seeds,
        "trials": simulated.trials,
        "seeds_per_trial": 1,
        "halving": 0,
        "batch_sizes": [],
        "warmups": [],
        "weight_decays": [],
        "search": "halton",
        "targets": list(simulated.targets),
        "score_test": simulated.score_test,
        "members_at_once": 0,
        "confidence": 0.95,
    }
    return values


def study_manifest(simulated: Simulated) -> dict[str, Any]:
    found = manifest() | {"command": "python scripts/compare.py --config=configs/compare_quick.py --workdir=runs/study"}
    val = simulated.val_examples or 10_000
    found["data"] |= {
        "name": "synthetic" if simulated.synthetic else "fashion_mnist",
        "examples": {"train": 60_000 - simulated.val_examples, "val": val, "test": 10_000},
    }
    for key in ("seed", "model", "optimizer"):
        del found[key]
    return found


@dataclasses.dataclass
class _Written:
    """Records of the files, as chunk after chunk is added."""

    plan: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    lines: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    chunks: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    members: int = 0

    def add(self, members: list[list[dict[str, Any]]], trained: bool) -> None:
        """Adds a chunk to the plan, and where it is `trained` to the results."""
        chunk = len(self.plan)
        first = members[0][0]
        shared = {key: first[key] for key in ("model", "epochs", "schedule", "arm", "optimizer", "phase")}
        planned = [
            {"member": number, **{key: member[0][key] for key in ("trial", "seed", "hyperparameters")}}
            for number, member in enumerate(members, start=self.members)
        ]
        how = {"executor": "vmap", "padded_size": len(members)}
        self.plan.append({"chunk": chunk, **shared, **how, "members": planned})
        for member in members:
            if trained:
                self.lines += [record | {"member": self.members, "chunk": chunk} for record in member]
            self.members += 1
        if trained:
            seconds = sum(record["train_seconds"] for member in members for record in member)
            memory = {"parameter_bytes": 4000, "optimizer_bytes": 8004 if first["optimizer"] == "adam" else 4}
            took = {"compile_seconds": 6.5, "train_seconds": seconds, "eval_seconds": seconds / 10}
            self.chunks.append(
                {"chunk": chunk, "members": len(members), **took, "executor": "vmap", "device": "cpu"} | memory
            )


def _add_cell(written: _Written, simulated: Simulated, workload: dict[str, Any], arm: str) -> None:
    rate = _rates(arm)[0]
    if simulated.mode == "tuned":
        trials = [_trial_member(simulated, workload, arm, *trial) for trial in enumerate(_trials(simulated, arm))]
        written.add(trials, trained=True)
        best = max(trials, key=lambda records: records[-1]["val_accuracy"])
        rate = best[0]["hyperparameters"]["learning_rate"]
    members = [_final_member(simulated, workload, arm, rate, seed) for seed in range(simulated.seeds)]
    runs = iter(members)
    for size in simulated.chunks.get(arm, [simulated.seeds]):
        chunk = list(itertools.islice(runs, size))
        if arm in simulated.chunks:
            for record in itertools.chain(*chunk):
                record |= {"train_seconds": 6.0 / size, "eval_seconds": 0.6 / size}
        written.add(chunk, trained=arm not in simulated.missing)


def _workloads(simulated: Simulated) -> list[dict[str, Any]]:
    return [
        {"model": model, "epochs": epochs, "schedule": schedule}
        for model in simulated.models
        for epochs in simulated.epochs
        for schedule in simulated.schedules
    ]


def _random(*names: object) -> np.random.Generator:
    return np.random.default_rng(list(" ".join(map(str, names)).encode()))


def _trials(simulated: Simulated, arm: str) -> list[float]:
    default = _rates(arm)[0]
    return [default, *(float(10**x) for x in _random("trials", arm).uniform(-5, 0, simulated.trials - 1))]


def _rates(arm: str) -> tuple[float, float]:
    name = arm.partition(":")[0]
    return _DEFAULT_RATE.get(name, 1e-3), _BEST_RATE.get(name, 1e-3)


def _trial_member(
    simulated: Simulated, workload: dict[str, Any], arm: str, trial: int, rate: float
) -> list[dict[str, Any]]:
    off = math.log10(rate / _rates(arm)[1])
    accuracy = _level(simulated, workload, arm) - 0.02 * off**2 + _random("trial", arm, trial).normal(0, 0.002)
    who = {"phase": "tune", "trial": trial, "seed": 1000 + trial}
    return _curve(workload, arm, rate, who, accuracy, epochs=1 if off > 1.5 else None)


def _final_member(
    simulated: Simulated, workload: dict[str, Any], arm: str, rate: float, seed: int
) -> list[dict[str, Any]]:
    shared = _random("seed", workload, seed).normal(0, 0.0015)
    accuracy = _level(simulated, workload, arm) + shared + _random("own", workload, arm, seed).normal(0, simulated.sd)
    who = {"phase": "final", "trial": 0, "seed": seed}
    records = _curve(workload, arm, rate, who, accuracy, epochs=1 if (arm, seed) in simulated.diverged else None)
    if simulated.score_test and records[-1]["train_loss"] is not None:
        records[-1] |= {
            "test_loss": records[-1]["val_loss"] + 0.01,
            "test_accuracy": records[-1]["val_accuracy"] - 0.003,
        }
    return records


def _level(simulated: Simulated, workload: dict[str, Any], arm: str) -> float:
    return simulated.accuracy[arm] + simulated.easier.get(workload["model"], 0.0)


def _curve(
    workload: dict[str, Any], arm: str, rate: float, who: dict[str, Any], accuracy: float, epochs: int | None
) -> list[dict[str, Any]]:
    """Returns a member's lines; with `epochs`, it diverges after as many."""
    last = workload["epochs"] if epochs is None else min(epochs + 1, workload["epochs"])
    random = _random("curve", workload, arm, who)
    records = []
    for epoch in range(1, last + 1):
        lost = epochs is not None and epoch > epochs
        val = float(np.clip(accuracy - 0.15 * (math.exp(1 - epoch) - math.exp(1 - workload["epochs"])), 0.1, 1))
        records.append(
            workload
            | {"arm": arm, "optimizer": arm.partition(":")[0], **who, "hyperparameters": {"learning_rate": rate}}
            | {"epoch": epoch, "step": epoch * STEPS, "train_accuracy": 0.1 if lost else val, "val_accuracy": val}
            | {"train_loss": 2.9 * (1 - val), "val_loss": 2.8 * (1 - val)}
            | ({"train_loss": None, "val_loss": None, "val_accuracy": 0.1} if lost else {})
            | {"train_seconds": float(random.normal(3, 0.05)), "eval_seconds": 0.2}
        )
    return records


def read_lines(folder: Path, name: str = "results.jsonl") -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / name).read_text().splitlines()]


def write_lines(folder: Path, records: Sequence[dict[str, Any]], name: str = "results.jsonl") -> None:
    (folder / name).write_text("".join(json.dumps(record) + "\n" for record in records))


def final_scores(folder: Path, arm: str, key: str = "val_accuracy") -> np.ndarray:
    """Returns the figure on the last line of each final run of the arm, by seed; of a study of one workload."""
    last = {line["seed"]: line for line in read_lines(folder) if line["arm"] == arm and line["phase"] == "final"}
    return np.array([last[seed][key] for seed in sorted(last)])
