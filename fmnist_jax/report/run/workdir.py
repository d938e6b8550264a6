"""Reads a run, or the evaluation of its checkpoint on a split, from the files of a workdir."""

from __future__ import annotations

import csv
import dataclasses
import itertools
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

from fmnist_jax.data.dataset import SPLITS, Description
from fmnist_jax.errors import WorkdirError, command, did_you_mean
from fmnist_jax.files.reader import WorkdirReader
from fmnist_jax.report.run.augmentation import AugmentedImages, read_augmented
from fmnist_jax.train.epochs import other_metrics
from fmnist_jax.train.workdir import described_data, evaluation_path

MATRIX_FILE = "confusion_matrix.csv"
PREDICTIONS_FILE = "predictions.npz"
_TOLERANCE = 0.02  # of the sum of a row of probabilities; bfloat16 is that coarse


@dataclasses.dataclass(frozen=True)
class Epoch:
    """A line of `metrics.jsonl`: the metrics of a finished epoch, NaN where they were not finite.

    `train_*` are running means over the epoch in training mode; accuracies are shares. `metrics` are the others, with
    their names: `"val_ece"`, in the last epoch perhaps `"test_ece"`.
    """

    epoch: int
    train_loss: float
    train_accuracy: float
    val_loss: float
    val_accuracy: float
    metrics: Mapping[str, float | None] = dataclasses.field(default_factory=dict, kw_only=True)


@dataclasses.dataclass(frozen=True)
class Summary:
    """What `summary.json` says of any run or evaluation."""

    data: str
    synthetic: bool
    validation_is_test: bool
    model: str
    optimizer: str
    seed: int


@dataclasses.dataclass(frozen=True)
class RunSummary(Epoch, Summary):
    """`summary.json` of a run, with the metrics of its last epoch; NaN where they were not finite or not computed."""

    status: Literal["finished", "diverged"]
    parameters: int
    epochs: int
    examples_per_second: float
    train_seconds: float
    compile_seconds: float
    train_examples: int
    scored_split: Literal["train", "val", "test"]
    scored_examples: int
    test_loss: float = math.nan
    test_accuracy: float = math.nan


@dataclasses.dataclass(frozen=True)
class EvaluationSummary(Summary):
    """`summary.json` of an evaluation: the metrics of a checkpoint on one split, with the others in `metrics`."""

    split: str
    loss: float
    accuracy: float
    examples: int
    checkpoint_epoch: int
    metrics: Mapping[str, float | None] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Predictions:
    """The label and predicted probabilities of each image, and the images of the most confident mistakes.

    **Attributes:**

    - `labels`: unsigned integers `[n]`.
    - `probabilities`: `float32[n, classes]`; rows sum to 1, or are not finite where the network diverged.
    - `mistake_index`: `int32[m]`, the position of each image of `mistake_images`, the most confident mistake first.
    - `mistake_images`: `uint8[m, height, width]` or `uint8[m, height, width, channels]`.
    """

    labels: np.ndarray
    probabilities: np.ndarray
    mistake_index: np.ndarray
    mistake_images: np.ndarray

    @property
    def finite(self) -> bool:
        return bool(np.isfinite(self.probabilities).all())


@dataclasses.dataclass(frozen=True)
class Run:
    """A finished or diverged run.

    **Attributes:**

    - `summary`: its last metrics; `epochs`: a record for each epoch, in order, at least one.
    - `config`: `config.json` as nested dicts; `manifest`: `manifest.json`, or `None` where there is none.
    - `description`: of the data, Fashion-MNIST's where the manifest says nothing of their classes.
    - `matrix`: the confusion matrix `int64[classes, classes]` of the images of `summary.scored_split`, rows the true
      classes; `predictions`: those for the same images. `None` where the file is missing.
    - `augmented`: training images before and after augmentation; `None` without one.
    """

    summary: RunSummary
    epochs: list[Epoch]
    config: Mapping[str, Any]
    manifest: Mapping[str, Any] | None
    description: Description
    matrix: np.ndarray | None
    predictions: Predictions | None
    augmented: AugmentedImages | None


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """The evaluation of a checkpoint, with the config and the manifest of the run that it belongs to, as in `Run`."""

    summary: EvaluationSummary
    config: Mapping[str, Any]
    manifest: Mapping[str, Any] | None
    description: Description
    matrix: np.ndarray | None
    predictions: Predictions | None


def read_run(workdir: Path) -> Run:
    """Returns the run in `workdir`; raises `WorkdirError` for a file that is missing, damaged or of another run.

    `summary.json`, `metrics.jsonl` and `config.json` have to be there; `manifest.json`, `confusion_matrix.csv`,
    `predictions.npz` and `augmented.npz` may be missing, but not damaged.
    """
    folder = _run_folder(workdir)
    if not folder.has("summary.json") and folder.has("config.json"):
        raise folder.error("summary.json", "is missing, so the run has not ended")
    found = folder.object("summary.json")
    summary = folder.record(RunSummary, found | {"metrics": other_metrics(found)}, "summary.json")
    config, manifest, description = _read_config(folder)
    scored = _read_scored(folder, summary.scored_examples, description)
    augmented = read_augmented(folder, description)
    return Run(summary, _read_epochs(folder), config, manifest, description, *scored, augmented)


def read_evaluation(workdir: Path, split: str, checkpoint: str = "last") -> Evaluation:
    """Returns the evaluation of a checkpoint on `split` in `workdir`; raises `WorkdirError` as `read_run` does."""
    if split not in SPLITS:
        raise WorkdirError(f"no split {split!r}; it is one of {', '.join(SPLITS)}{did_you_mean(split, SPLITS)}")
    run = _run_folder(workdir)
    path = evaluation_path(workdir, split, checkpoint)
    folder = WorkdirReader(path, f"run {command('evaluate')} on {workdir} to write it again")
    found = folder.object("summary.json")
    values = found | {"metrics": other_metrics(found, (split,))}
    summary = folder.record(EvaluationSummary, values, "summary.json")
    if summary.split != split:
        raise folder.error("summary.json", f"has split = {summary.split!r}, which is not {split}")
    config, manifest, description = _read_config(run)
    return Evaluation(summary, config, manifest, description, *_read_scored(folder, summary.examples, description))


def _run_folder(workdir: Path) -> WorkdirReader:
    if not workdir.is_dir():
        raise WorkdirError(f"{workdir} is not a folder; give the workdir of a run of {command('train')}")
    return WorkdirReader(workdir, f"run {command('train')} with --workdir={workdir}, or with a new one to start over")


def _read_epochs(folder: WorkdirReader) -> list[Epoch]:
    epochs = [
        folder.record(Epoch, line | {"metrics": other_metrics(line)}, "metrics.jsonl")
        for line in folder.objects("metrics.jsonl")
    ]
    numbers = [record.epoch for record in epochs]
    if not numbers:
        raise folder.error("metrics.jsonl", "has no epoch")
    if numbers[0] < 1 or any(a >= b for a, b in itertools.pairwise(numbers)):
        raise folder.error("metrics.jsonl", "does not count its epochs upward from 1")
    return epochs


def _read_config(folder: WorkdirReader) -> tuple[Mapping[str, Any], Mapping[str, Any] | None, Description]:
    """Returns the config, the manifest and the description of the data."""
    manifest = folder.object("manifest.json") if folder.has("manifest.json") else None
    described = manifest if manifest and isinstance(manifest.get("data"), Mapping) else {}
    try:
        return folder.object("config.json"), manifest, described_data(described)
    except ValueError as error:
        raise folder.error("manifest.json", f"does not describe the data of a run ({error})") from None


def _read_scored(
    folder: WorkdirReader, examples: int, description: Description
) -> tuple[np.ndarray | None, Predictions | None]:
    """Returns confusion matrix and predictions, where the files exist; each has to be of `examples` images."""
    if examples < 1:
        raise folder.error("summary.json", f"counts {examples} images")
    matrix = _read_matrix(folder, description.class_names) if folder.has(MATRIX_FILE) else None
    predictions = _read_predictions(folder, description) if folder.has(PREDICTIONS_FILE) else None
    if matrix is not None and matrix.sum() != examples:
        raise folder.error(MATRIX_FILE, f"counts {matrix.sum()} images where summary.json counts {examples}")
    if predictions is not None and len(predictions.labels) != examples:
        raise folder.error(PREDICTIONS_FILE, f"has {len(predictions.labels)} images, summary.json {examples}")
    if matrix is not None and predictions is not None:
        support = np.bincount(predictions.labels, minlength=len(matrix))
        if (support != matrix.sum(axis=1)).any():
            raise folder.error(PREDICTIONS_FILE, f"has other labels than {MATRIX_FILE}")
    return matrix, predictions


def _read_matrix(folder: WorkdirReader, class_names: tuple[str, ...]) -> np.ndarray:
    try:
        header, *rows = csv.reader(folder.text(MATRIX_FILE).splitlines())
        names, counts = [row[0] for row in rows], [[int(cell) for cell in row[1:]] for row in rows]
        matrix = np.array(counts, dtype=np.int64)
    except (ValueError, IndexError, OverflowError, csv.Error):
        raise folder.error(MATRIX_FILE, "is not a table of whole numbers with a class name in each row") from None
    classes = len(class_names)
    if header[1:] != list(class_names) or names != list(class_names):
        raise folder.error(MATRIX_FILE, f"does not name the {classes} classes in order, {class_names[0]} first")
    if matrix.shape != (classes, classes) or matrix.min() < 0 or matrix.sum() == 0:
        raise folder.error(MATRIX_FILE, f"is not a {classes} by {classes} table of counts")
    return matrix


def _read_predictions(folder: WorkdirReader, description: Description) -> Predictions:
    arrays, names = folder.arrays(PREDICTIONS_FILE), [field.name for field in dataclasses.fields(Predictions)]
    for name in names:
        if name not in arrays:
            raise folder.error(PREDICTIONS_FILE, f"lacks the array {name!r}")
    predictions = Predictions(**{name: arrays[name] for name in names})
    if problem := _problem(predictions, description):
        raise folder.error(PREDICTIONS_FILE, problem)
    return predictions


def _problem(predictions: Predictions, description: Description) -> str | None:
    labels, index = predictions.labels, predictions.mistake_index
    images, mistakes, classes = labels.size, index.size, description.num_classes
    expected: dict[str, tuple[type, tuple[int, ...]]] = {
        "labels": (np.integer, (images,)),
        "probabilities": (np.floating, (images, classes)),
        "mistake_index": (np.integer, (mistakes,)),
        "mistake_images": (np.uint8, (mistakes, *description.array_shape)),
    }
    for name, (kind, shape) in expected.items():
        array = getattr(predictions, name)
        if array.shape != shape or not np.issubdtype(array.dtype, kind):
            return f"has {name} of {array.dtype} {array.shape}, which is not {kind.__name__} {shape}"
    if not images:
        return "has no image"
    if labels.min() < 0 or labels.max() >= classes:
        return f"has labels outside 0 to {classes - 1}"
    if index.size and (index.min() < 0 or index.max() >= len(labels)):
        return f"has a mistake_index outside its {len(labels)} images"
    rows = predictions.probabilities[np.isfinite(predictions.probabilities).all(axis=1)].astype(np.float64)
    if rows.size and (rows.min() < 0 or np.abs(rows.sum(axis=1) - 1).max() > _TOLERANCE):
        return "has probabilities that do not sum to 1"
    return None
