"""How the images of a split were classified: the files that record it, and its statistics."""

from __future__ import annotations

import csv
import dataclasses

import numpy as np

from fmnist_jax.data.dataset import CLASS_NAMES, IMAGE_SIZE, NUM_CLASSES
from fmnist_jax.files.reader import WorkdirReader

MATRIX_FILE = "confusion_matrix.csv"
PREDICTIONS_FILE = "predictions.npz"
_TOLERANCE = 0.02  # of the sum of a row of probabilities; bfloat16 is that coarse


@dataclasses.dataclass(frozen=True)
class Predictions:
    """The label and predicted probabilities of each image, and the images of the most confident mistakes.

    **Attributes:**

    - `labels`: `uint8[n]`.
    - `probabilities`: `float32[n, 10]`; rows sum to 1, or are not finite where the network diverged.
    - `mistake_index`: `int32[m]`, the position of each image of `mistake_images`, the most confident mistake first.
    - `mistake_images`: `uint8[m, 28, 28]`.
    """

    labels: np.ndarray
    probabilities: np.ndarray
    mistake_index: np.ndarray
    mistake_images: np.ndarray

    @property
    def finite(self) -> bool:
        return bool(np.isfinite(self.probabilities).all())


@dataclasses.dataclass(frozen=True)
class EvaluationFiles:
    """A confusion matrix `int64[10, 10]`, rows the true classes, and predictions; `None` where the file is missing."""

    matrix: np.ndarray | None
    predictions: Predictions | None


def read_evaluation_files(folder: WorkdirReader, examples: int) -> EvaluationFiles:
    """Reads those of the two files that exist; raises `WorkdirError` for one damaged or not of `examples` images."""
    if examples < 1:
        raise folder.error("summary.json", f"counts {examples} images")
    matrix = _read_matrix(folder) if folder.has(MATRIX_FILE) else None
    predictions = _read_predictions(folder) if folder.has(PREDICTIONS_FILE) else None
    if matrix is not None and matrix.sum() != examples:
        raise folder.error(MATRIX_FILE, f"counts {matrix.sum()} images where summary.json counts {examples}")
    if predictions is not None and len(predictions.labels) != examples:
        raise folder.error(PREDICTIONS_FILE, f"has {len(predictions.labels)} images, summary.json {examples}")
    if matrix is not None and predictions is not None:
        support = np.bincount(predictions.labels, minlength=NUM_CLASSES)
        if (support != matrix.sum(axis=1)).any():
            raise folder.error(PREDICTIONS_FILE, f"has other labels than {MATRIX_FILE}")
    return EvaluationFiles(matrix, predictions)


def _read_matrix(folder: WorkdirReader) -> np.ndarray:
    try:
        header, *rows = csv.reader(folder.text(MATRIX_FILE).splitlines())
        names, counts = [row[0] for row in rows], [[int(cell) for cell in row[1:]] for row in rows]
        matrix = np.array(counts, dtype=np.int64)
    except (ValueError, IndexError, OverflowError, csv.Error):
        raise folder.error(MATRIX_FILE, "is not a table of whole numbers with a class name in each row") from None
    if header[1:] != list(CLASS_NAMES) or names != list(CLASS_NAMES):
        raise folder.error(MATRIX_FILE, f"does not name the ten classes in order, {CLASS_NAMES[0]} first")
    if matrix.shape != (NUM_CLASSES, NUM_CLASSES) or matrix.min() < 0 or matrix.sum() == 0:
        raise folder.error(MATRIX_FILE, "is not a 10 by 10 table of counts")
    return matrix


def _read_predictions(folder: WorkdirReader) -> Predictions:
    arrays = folder.arrays(PREDICTIONS_FILE)
    for field in dataclasses.fields(Predictions):
        if field.name not in arrays:
            raise folder.error(PREDICTIONS_FILE, f"lacks the array {field.name!r}")
    predictions = Predictions(**{field.name: arrays[field.name] for field in dataclasses.fields(Predictions)})
    problem = _shape_problem(predictions) or _value_problem(predictions)
    if problem:
        raise folder.error(PREDICTIONS_FILE, problem)
    return predictions


def _shape_problem(predictions: Predictions) -> str | None:
    images, mistakes = predictions.labels.size, predictions.mistake_index.size
    expected: dict[str, tuple[type, tuple[int, ...]]] = {
        "labels": (np.integer, (images,)),
        "probabilities": (np.floating, (images, NUM_CLASSES)),
        "mistake_index": (np.integer, (mistakes,)),
        "mistake_images": (np.uint8, (mistakes, IMAGE_SIZE, IMAGE_SIZE)),
    }
    for name, (kind, shape) in expected.items():
        array = getattr(predictions, name)
        if array.shape != shape or not np.issubdtype(array.dtype, kind):
            return f"has {name} of {array.dtype} {array.shape}, which is not {kind.__name__} {shape}"
    return None if images else "has no image"


def _value_problem(predictions: Predictions) -> str | None:
    labels, index = predictions.labels, predictions.mistake_index
    if labels.min() < 0 or labels.max() >= NUM_CLASSES:
        return f"has labels outside 0 to {NUM_CLASSES - 1}"
    if index.size and (index.min() < 0 or index.max() >= len(labels)):
        return f"has a mistake_index outside its {len(labels)} images"
    rows = predictions.probabilities[np.isfinite(predictions.probabilities).all(axis=1)].astype(np.float64)
    if rows.size and (rows.min() < 0 or np.abs(rows.sum(axis=1) - 1).max() > _TOLERANCE):
        return "has probabilities that do not sum to 1"
    return None


@dataclasses.dataclass(frozen=True)
class ClassScores:
    """Scores of each class.

    **Attributes:** each `float64[10]` in the order of `CLASS_NAMES`, NaN where it is undefined.

    - `precision`: the share of the images predicted as the class that belong to it.
    - `recall`: the share of the images of the class that are predicted as it.
    - `f1`: the harmonic mean of the two.
    - `support`: images of the class.
    """

    precision: np.ndarray
    recall: np.ndarray
    f1: np.ndarray
    support: np.ndarray


@dataclasses.dataclass(frozen=True)
class ConfusedPair:
    """`count` of the `total` images of class `true` were predicted as class `predicted`."""

    true: int
    predicted: int
    count: int
    total: int

    def __str__(self) -> str:
        return f"{CLASS_NAMES[self.true]} predicted as {CLASS_NAMES[self.predicted]}: {self.count} of {self.total}"


@dataclasses.dataclass(frozen=True)
class Reliability:
    """Accuracy against confidence, in bins of equal width.

    **Attributes:**

    - `edges`: `float64[bins + 1]` from 0 to 1; a bin excludes its left edge and includes its right one.
    - `counts`: `int64[bins]`, images per bin.
    - `confidence`, `accuracy`: `float64[bins]`, means over the bin's images, NaN in an empty bin.
    - `ece`: expected calibration error: the mean of |accuracy - confidence| over bins, weighted by `counts`.
    - `mean_confidence`, `mean_accuracy`: over all images.
    """

    edges: np.ndarray
    counts: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray
    ece: float
    mean_confidence: float
    mean_accuracy: float


def class_scores(matrix: np.ndarray) -> ClassScores:
    """Returns the scores of each class from a confusion matrix `int[10, 10]`, rows the true classes."""
    hits, predicted, support = np.diag(matrix).astype(float), matrix.sum(axis=0), matrix.sum(axis=1)
    with np.errstate(invalid="ignore"):
        return ClassScores(hits / predicted, hits / support, 2 * hits / (predicted + support), support)


def confused_pairs(matrix: np.ndarray, limit: int = 8) -> list[ConfusedPair]:
    """Returns the up to `limit` most frequent confusions, the most frequent first."""
    off_diagonal = matrix * (1 - np.eye(len(matrix), dtype=matrix.dtype))
    order = np.argsort(-off_diagonal, axis=None, kind="stable")[:limit]
    cells = [divmod(int(index), len(matrix)) for index in order]
    totals = matrix.sum(axis=1)
    return [ConfusedPair(i, j, int(matrix[i, j]), int(totals[i])) for i, j in cells if off_diagonal[i, j] > 0]


def reliability(labels: np.ndarray, probabilities: np.ndarray, bins: int = 15) -> Reliability:
    """Returns the accuracy of predictions against their confidence, the highest probability of each.

    Source: Guo, Pleiss, Sun and Weinberger, "On calibration of modern neural networks", ICML 2017, with 15 bins.

    **Arguments:**

    - `labels`: `uint8[n]`, n > 0.
    - `probabilities`: `float[n, 10]`, finite.
    """
    confidence = probabilities.max(axis=1).astype(float)
    correct = (probabilities.argmax(axis=1) == labels).astype(float)
    which = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    counts = np.bincount(which, minlength=bins)
    with np.errstate(invalid="ignore"):
        mean_confidence = np.bincount(which, confidence, bins) / counts
        mean_correct = np.bincount(which, correct, bins) / counts
    ece = float(np.nansum(np.abs(mean_correct - mean_confidence) * counts) / len(labels))
    edges = np.linspace(0, 1, bins + 1)
    return Reliability(
        edges, counts, mean_confidence, mean_correct, ece, float(confidence.mean()), float(correct.mean())
    )
