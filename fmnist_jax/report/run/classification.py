"""Statistics of a classification: scores of each class, confused pairs, calibration."""

from __future__ import annotations

import dataclasses

import numpy as np

from fmnist_jax.data.dataset import CLASS_NAMES


@dataclasses.dataclass(frozen=True)
class ClassScores:
    """How well each class was told from the others.

    **Attributes:** each `float64[10]` in the order of `CLASS_NAMES`, NaN where it is undefined.

    - `precision`: of the images taken for the class, the share that is of it.
    - `recall`: of the images of the class, the share taken for it.
    - `f1`: the harmonic mean of the two.
    - `support`: images of the class.
    """

    precision: np.ndarray
    recall: np.ndarray
    f1: np.ndarray
    support: np.ndarray


@dataclasses.dataclass(frozen=True)
class ConfusedPair:
    """`count` of the `total` images of class `true` were taken for class `predicted`."""

    true: int
    predicted: int
    count: int
    total: int

    def __str__(self) -> str:
        return f"{CLASS_NAMES[self.true]} taken for {CLASS_NAMES[self.predicted]}: {self.count} of {self.total}"


@dataclasses.dataclass(frozen=True)
class Reliability:
    """Confidence against accuracy, in bins of equal width.

    **Attributes:**

    - `edges`: `float64[bins + 1]` from 0 to 1; a bin holds the confidences above its left edge up to its right one.
    - `counts`: `int64[bins]`, images a bin.
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
    hits, taken, support = np.diag(matrix).astype(float), matrix.sum(axis=0), matrix.sum(axis=1)
    with np.errstate(invalid="ignore"):
        return ClassScores(hits / taken, hits / support, 2 * hits / (taken + support), support)


def confused_pairs(matrix: np.ndarray, limit: int = 8) -> list[ConfusedPair]:
    """Returns the `limit` most frequent confusions, most frequent first, none of them empty."""
    off_diagonal = matrix * (1 - np.eye(len(matrix), dtype=matrix.dtype))
    order = np.argsort(-off_diagonal, axis=None, kind="stable")[:limit]
    cells = [divmod(int(index), len(matrix)) for index in order]
    totals = matrix.sum(axis=1)
    return [ConfusedPair(i, j, int(matrix[i, j]), int(totals[i])) for i, j in cells if off_diagonal[i, j] > 0]


def reliability(labels: np.ndarray, probabilities: np.ndarray, bins: int = 15) -> Reliability:
    """Compares the confidence of predictions, the highest probability of each, with how often they are right.

    Source: Guo, Pleiss, Sun and Weinberger, "On calibration of modern neural networks", ICML 2017, who take 15 bins.

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
