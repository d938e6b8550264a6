"""Reads a run, or the evaluation of its checkpoint on a split, from the files of a workdir."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fmnist_jax.data import SPLITS
from fmnist_jax.errors import WorkdirError, did_you_mean
from fmnist_jax.files.reader import WorkdirReader
from fmnist_jax.report.run.classification import EvaluationFiles, read_evaluation_files
from fmnist_jax.train.workdir import evaluation_path

STATUSES = ("finished", "diverged")


@dataclasses.dataclass(frozen=True)
class Epoch:
    """A line of `metrics.jsonl`: the metrics of a finished epoch, NaN where they were not finite.

    `train_*` are running means over the epoch in training mode; accuracies are shares.
    """

    epoch: int
    train_loss: float
    train_accuracy: float
    val_loss: float
    val_accuracy: float


@dataclasses.dataclass(frozen=True)
class RunSummary:
    """`summary.json` of a run: the metrics of its last epoch, NaN where they were not finite or not computed."""

    status: str
    data: str
    synthetic: bool
    validation_is_test: bool
    model: str
    optimizer: str
    parameters: int
    seed: int
    epoch: int
    epochs: int
    train_loss: float
    train_accuracy: float
    val_loss: float
    val_accuracy: float
    examples_per_second: float
    train_seconds: float
    compile_seconds: float
    train_examples: int
    scored_split: str
    scored_examples: int
    test_loss: float = math.nan
    test_accuracy: float = math.nan


@dataclasses.dataclass(frozen=True)
class EvaluationSummary:
    """`summary.json` of an evaluation: the metrics of a checkpoint on one split."""

    split: str
    loss: float
    accuracy: float
    examples: int
    checkpoint_epoch: int
    data: str
    synthetic: bool
    validation_is_test: bool
    model: str
    optimizer: str
    seed: int


@dataclasses.dataclass(frozen=True)
class Run:
    """A finished or diverged run.

    **Attributes:**

    - `summary`: its last metrics; `epochs`: a record for each epoch, in order, at least one.
    - `config`: `config.json` as nested dicts; `manifest`: `manifest.json`, or `None` where there is none.
    - `files`: the predictions for the images of `summary.scored_split`.
    """

    summary: RunSummary
    epochs: list[Epoch]
    config: Mapping[str, Any]
    manifest: Mapping[str, Any] | None
    files: EvaluationFiles


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """The evaluation of a checkpoint, with the config and the manifest of the run that it belongs to."""

    summary: EvaluationSummary
    config: Mapping[str, Any]
    manifest: Mapping[str, Any] | None
    files: EvaluationFiles


def read_run(workdir: Path) -> Run:
    """Returns the run in `workdir`; raises `WorkdirError` for a file that is missing, damaged or of another run.

    `summary.json`, `metrics.jsonl` and `config.json` have to be there; `manifest.json`, `confusion_matrix.csv` and
    `predictions.npz` may be missing, but not damaged.
    """
    folder = _run_folder(workdir)
    if not folder.has("summary.json") and folder.has("config.json"):
        raise folder.error("summary.json", "is missing, so the run has not ended")
    summary = folder.record(RunSummary, folder.object("summary.json"), "summary.json")
    _check_choice(folder, "status", summary.status, STATUSES)
    _check_choice(folder, "scored_split", summary.scored_split, SPLITS)
    files = read_evaluation_files(folder, summary.scored_examples)
    return Run(summary, _read_epochs(folder), folder.object("config.json"), _read_manifest(folder), files)


def read_evaluation(workdir: Path, split: str, checkpoint: str = "last") -> Evaluation:
    """Returns the evaluation of a checkpoint on `split` in `workdir`; raises `WorkdirError` as `read_run` does."""
    if split not in SPLITS:
        raise WorkdirError(f"no split {split!r}; it is one of {', '.join(SPLITS)}{did_you_mean(split, SPLITS)}")
    run = _run_folder(workdir)
    path = evaluation_path(workdir, split, checkpoint)
    folder = WorkdirReader(path, f"run scripts/evaluate.py on {workdir} to write it again")
    summary = folder.record(EvaluationSummary, folder.object("summary.json"), "summary.json")
    _check_choice(folder, "split", summary.split, (split,))
    files = read_evaluation_files(folder, summary.examples)
    return Evaluation(summary, run.object("config.json"), _read_manifest(run), files)


def _run_folder(workdir: Path) -> WorkdirReader:
    if not workdir.is_dir():
        raise WorkdirError(f"{workdir} is not a folder; give the workdir of a run of scripts/train.py")
    return WorkdirReader(workdir, f"run scripts/train.py with --workdir={workdir}, or with a new one to start over")


def _read_epochs(folder: WorkdirReader) -> list[Epoch]:
    epochs = [folder.record(Epoch, line, "metrics.jsonl") for line in folder.objects("metrics.jsonl")]
    numbers = [record.epoch for record in epochs]
    if not numbers:
        raise folder.error("metrics.jsonl", "has no epoch")
    if numbers[0] < 1 or any(a >= b for a, b in itertools.pairwise(numbers)):
        raise folder.error("metrics.jsonl", "does not count its epochs upward from 1")
    return epochs


def _read_manifest(folder: WorkdirReader) -> Mapping[str, Any] | None:
    return folder.object("manifest.json") if folder.has("manifest.json") else None


def _check_choice(folder: WorkdirReader, key: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise folder.error("summary.json", f"has {key} = {value!r}, which is not {' or '.join(allowed)}")
