"""What a network said of the images of a split: its confusion matrix, and its prediction for each image."""

from __future__ import annotations

import csv
import dataclasses

import numpy as np

from fmnist_jax.data.dataset import CLASS_NAMES, IMAGE_SIZE, NUM_CLASSES
from fmnist_jax.files.reader import WorkdirReader

MATRIX_FILE = "confusion_matrix.csv"
PREDICTIONS_FILE = "predictions.npz"
_TOLERANCE = 0.02  # of a row's sum; probabilities of a bfloat16 network are that coarse


@dataclasses.dataclass(frozen=True)
class Predictions:
    """Each image's label and predicted probabilities, and the pictures of some mistakes.

    **Attributes:**

    - `labels`: `uint8[n]`.
    - `probabilities`: `float32[n, 10]`; rows sum to 1, or are not finite where the network diverged.
    - `mistake_index`: `int32[m]`, which images the pictures show, the most confident mistake first.
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
class Scored:
    """A confusion matrix `int64[10, 10]`, rows the true classes, and predictions; `None` where the file is missing."""

    matrix: np.ndarray | None
    predictions: Predictions | None

    @property
    def consistent(self) -> bool:
        """Whether the two, where both are there, have the same number of images of each class."""
        if self.matrix is None or self.predictions is None:
            return True
        support = np.bincount(self.predictions.labels, minlength=NUM_CLASSES)
        return bool((support == self.matrix.sum(axis=1)).all())


def read_scored(folder: WorkdirReader, examples: int) -> Scored:
    """Reads what `folder` holds of the two files; raises `WorkdirError` for one damaged or not of `examples` images."""
    if examples < 1:
        raise folder.error("summary.json", f"counts {examples} images")
    matrix = _read_matrix(folder) if folder.has(MATRIX_FILE) else None
    predictions = _read_predictions(folder) if folder.has(PREDICTIONS_FILE) else None
    if matrix is not None and matrix.sum() != examples:
        raise folder.error(MATRIX_FILE, f"counts {matrix.sum()} images where summary.json counts {examples}")
    if predictions is not None and len(predictions.labels) != examples:
        raise folder.error(PREDICTIONS_FILE, f"has {len(predictions.labels)} images, summary.json {examples}")
    scored = Scored(matrix, predictions)
    if not scored.consistent:
        raise folder.error(PREDICTIONS_FILE, f"is of other images than {MATRIX_FILE}")
    return scored


def _read_matrix(folder: WorkdirReader) -> np.ndarray:
    try:
        header, *rows = csv.reader(folder.text(MATRIX_FILE).splitlines())
        names, counts = [row[0] for row in rows], [[int(cell) for cell in row[1:]] for row in rows]
        matrix = np.array(counts, dtype=np.int64)
    except (ValueError, IndexError, OverflowError, csv.Error):
        raise folder.error(MATRIX_FILE, "is not a table of whole numbers with a name to each row") from None
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
