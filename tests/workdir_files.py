"""Writes the files of a workdir as a run leaves them, with plausible random figures; for tests of the reports."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np

from fmnist_jax.config import schema
from fmnist_jax.data import FASHION_MNIST

# The share of each class's images that a CNN of 90 % gets right, and the pairs that it confuses most.
_RECALL = np.array([0.86, 0.98, 0.86, 0.91, 0.85, 0.98, 0.72, 0.97, 0.98, 0.96])
_CONFUSED: dict[int, dict[int, float]] = {
    0: {6: 0.75},
    2: {4: 0.55, 6: 0.35},
    3: {6: 0.4},
    4: {2: 0.5, 6: 0.4},
    5: {7: 0.7},
    6: {0: 0.45, 2: 0.27, 4: 0.25},
    7: {9: 0.7},
    9: {7: 0.8},
}


def write_run(folder: Path, *, epochs: int = 10, examples: int = 10_000, **changes: Any) -> Path:
    """Writes a run's workdir of `epochs` epochs, scored on `examples` images; `changes` go into its `summary.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    records = epoch_records(epochs)
    records[-1]["val_accuracy"] = write_predictions(folder, examples)
    summary = run_summary(records, examples) | changes
    write_json(folder / "config.json", schema.default_config().to_dict())
    write_json(folder / "manifest.json", manifest())
    write_json(folder / "summary.json", summary)
    write_metrics(folder, records)
    return folder


def write_evaluation(workdir: Path, split: str = "test", *, examples: int = 1000, **changes: Any) -> Path:
    """Writes an evaluation of `split` into `workdir`; `changes` go into its `summary.json`."""
    folder = workdir / "evaluations" / split
    folder.mkdir(parents=True, exist_ok=True)
    keys = ("data", "synthetic", "validation_is_test", "model", "optimizer", "seed")
    summary = {key: run_summary(epoch_records(1), examples)[key] for key in keys}
    accuracy = write_predictions(folder, examples)
    summary |= {"split": split, "loss": 0.2671, "accuracy": accuracy, "examples": examples, "checkpoint_epoch": 10}
    write_json(folder / "summary.json", summary | changes)
    return folder


def write_augmented(workdir: Path, **changes: np.ndarray) -> None:
    """Writes three training images before and after augmentation in four epochs; `changes` are arrays of the file."""
    arrays = {
        "labels": np.array([0, 3, 9], np.uint8),
        "originals": np.zeros((3, 28, 28), np.uint8),
        "augmented": np.full((3, 4, 28, 28), 255, np.uint8),
    }
    np.savez(workdir / "augmented.npz", **arrays | changes)


def write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2))


def write_metrics(folder: Path, records: list[dict[str, Any]]) -> None:
    (folder / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))


def epoch_records(epochs: int) -> list[dict[str, Any]]:
    """Returns the lines of `metrics.jsonl` of a run that converges as the reference's model 3 does."""
    random = np.random.default_rng(0)
    done = np.arange(1, epochs + 1)
    train = 0.16 + 0.42 * done**-0.85
    val = 0.255 + 0.2 * done**-0.9 + random.normal(0, 0.008, epochs)
    return [
        {
            "epoch": int(epoch),
            "step": int(epoch) * 235,
            "train_loss": float(train[i]),
            "train_accuracy": float(1 - 0.36 * train[i]),
            "val_loss": float(val[i]),
            "val_accuracy": float(1 - 0.36 * val[i] + random.normal(0, 0.003)),
            "learning_rate": 0.001,
            "examples_per_second": float(random.normal(21_400, 200)),
            "train_seconds": 2.8,
            "eval_seconds": 0.2,
        }
        for i, epoch in enumerate(done)
    ]


def diverged(records: list[dict[str, Any]], since: int) -> list[dict[str, Any]]:
    """Returns the records with nulls for the losses, and chance accuracy, from epoch `since` on."""
    lost = {"train_loss": None, "val_loss": None, "train_accuracy": 0.1, "val_accuracy": 0.1}
    return [record | lost if record["epoch"] >= since else record for record in records]


def run_summary(records: list[dict[str, Any]], examples: int) -> dict[str, Any]:
    """Returns the `summary.json` of a run with these epochs."""
    last = records[-1]
    figures = {key: last[key] for key in ("train_loss", "train_accuracy", "val_loss", "val_accuracy")}
    return figures | {
        "status": "finished",
        "data": "fashion_mnist",
        "synthetic": False,
        "validation_is_test": True,
        "model": "model3",
        "optimizer": "rmsprop",
        "parameters": 390_410,
        "seed": 0,
        "epoch": last["epoch"],
        "epochs": len(records),
        "step": last["step"],
        "examples_per_second": 21_412.7,
        "train_seconds": 2.8 * len(records),
        "compile_seconds": 6.3,
        "train_examples": 60_000,
        "scored_split": "test",
        "scored_examples": examples,
    }


def manifest() -> dict[str, Any]:
    """Returns a `manifest.json`."""
    return {
        "git_sha": "3f2b8c1d9e0a47566b7f2d1c8e9a0b3c4d5e6f70",
        "git_dirty": False,
        "command": "python scripts/train.py --config=configs/model3.py --workdir=runs/model3",
        "versions": {"python": "3.11.7", "jax": "0.10.2", "flax": "0.12.8", "optax": "0.2.8", "numpy": "2.4.6"},
        "device": "cpu (2 cores)",
        "started": "2026-01-05T09:30:00+00:00",
        "seed": 0,
        "data": {
            "name": "fashion_mnist",
            "origin": "the folder fashion-mnist",
            "digests": {"train-images-idx3-ubyte.gz": "0123456789abcdef" * 4, "train-labels-idx1-ubyte.gz": "ab" * 32},
        },
        "model": {"name": "model3", "parameters": 390_410},
        "optimizer": {"name": "rmsprop", "learning_rate": 0.001, "decay": 0.9, "eps": 1e-07},
    }


def write_predictions(folder: Path, examples: int) -> float:
    """Writes `predictions.npz` and the `confusion_matrix.csv` that belongs to it; returns the accuracy."""
    random = np.random.default_rng(1)
    labels = (np.arange(examples) % FASHION_MNIST.num_classes).astype(np.uint8)
    probabilities = _probabilities(labels, random)
    predicted = probabilities.argmax(axis=1)
    wrong = np.flatnonzero(predicted != labels)
    index = wrong[np.argsort(-probabilities[wrong].max(axis=1), kind="stable")][:25].astype(np.int32)
    images = np.stack([_garment(int(labels[i]), random) for i in index]) if len(index) else np.zeros((0, 28, 28))
    np.savez(
        folder / "predictions.npz",
        labels=labels,
        probabilities=probabilities,
        mistake_index=index,
        mistake_images=images.astype(np.uint8),
    )
    write_matrix(folder, np.bincount(labels * 10 + predicted, minlength=100).reshape(10, 10))
    return float((predicted == labels).mean())


def write_matrix(folder: Path, matrix: np.ndarray) -> None:
    with (folder / "confusion_matrix.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["true\\predicted", *FASHION_MNIST.class_names])
        writer.writerows([name, *map(int, row)] for name, row in zip(FASHION_MNIST.class_names, matrix, strict=True))


def _probabilities(labels: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Returns `float32[n, 10]`, a little too sure of themselves, as a network's are."""
    taken = np.array([random.choice(10, p=_confusion_row(int(label))) for label in labels])
    sure, unsure = random.beta(2.6, 0.3, len(labels)), random.beta(1.3, 0.9, len(labels))
    confidence = 0.3 + 0.7 * np.where(taken == labels, sure, unsure)
    others = random.dirichlet(np.full(9, 4.0), len(labels)) * (1 - confidence)[:, None]
    probabilities = np.empty((len(labels), 10))
    probabilities[np.arange(10) != taken[:, None]] = others.ravel()
    probabilities[np.arange(len(labels)), taken] = confidence
    return probabilities.astype(np.float32)


def _confusion_row(label: int) -> np.ndarray:
    wrong = np.full(10, 0.02)
    for other, share in _CONFUSED.get(label, {}).items():
        wrong[other] = share
    wrong[label] = 0
    row = wrong / wrong.sum() * (1 - _RECALL[label])
    row[label] = _RECALL[label]
    return row / row.sum()


def _garment(label: int, random: np.random.Generator) -> np.ndarray:
    """Returns `uint8[28, 28]`: a bright, noisy block on black, of a width that depends on the class."""
    image = np.zeros((28, 28))
    left = 4 + label % 5
    image[3:25, left : 28 - left] = random.normal(170, 35, (22, 28 - 2 * left))
    return np.clip(image, 0, 255).astype(np.uint8)
