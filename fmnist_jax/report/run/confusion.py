"""Which classes are confused: the confusion matrix, the most frequent confusions, and the scores of each class."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.colors import PowerNorm

from fmnist_jax.report.format import count, percent
from fmnist_jax.report.model import BulletList, Columns, Picture, Section, Table
from fmnist_jax.report.theme import INK, Subject, new_figure, plot_style, share_axis, to_png

_ZERO = "#a9b2bd"  # the colour of a count of 0
_FULL_SIZE = 10  # classes; with more, names and numbers are smaller
_MAX_NUMBERED = 25  # classes; with more, the cells have no numbers


class ClassScores(NamedTuple):
    """Scores of each class, `float64[classes]`, NaN where undefined."""

    precision: np.ndarray  # the share of the images predicted as the class that belong to it
    recall: np.ndarray  # the share of the images of the class that are predicted as it
    f1: np.ndarray  # the harmonic mean of the two
    support: np.ndarray  # images of the class


def class_scores(matrix: np.ndarray) -> ClassScores:
    """Returns the scores of each class from a confusion matrix `int[classes, classes]`, rows the true classes."""
    hits, predicted, support = np.diag(matrix).astype(float), matrix.sum(axis=0), matrix.sum(axis=1)
    with np.errstate(invalid="ignore"):
        return ClassScores(hits / predicted, hits / support, 2 * hits / (predicted + support), support)


@dataclasses.dataclass(frozen=True)
class ConfusedPair:
    """`count` of the `total` images of the class `true` were predicted as the class `predicted`."""

    true: str
    predicted: str
    count: int
    total: int

    def __str__(self) -> str:
        return f"{self.true} predicted as {self.predicted}: {self.count} of {self.total}"


def confused_pairs(matrix: np.ndarray, class_names: Sequence[str], limit: int = 8) -> list[ConfusedPair]:
    """Returns the up to `limit` most frequent confusions, the most frequent first."""
    off_diagonal = matrix * (1 - np.eye(len(matrix), dtype=matrix.dtype))
    order = np.argsort(-off_diagonal, axis=None, kind="stable")[:limit]
    cells = [divmod(int(index), len(matrix)) for index in order]
    totals = matrix.sum(axis=1)
    return [
        ConfusedPair(class_names[i], class_names[j], int(matrix[i, j]), int(totals[i]))
        for i, j in cells
        if off_diagonal[i, j] > 0
    ]


def confusion_section(matrix: np.ndarray, class_names: Sequence[str], images: str, subject: Subject) -> Section:
    """Returns the confusion matrix of `images`, the most frequent confusions, and the scores of each class."""
    pairs = [str(pair) for pair in confused_pairs(matrix, class_names)]
    confusions = BulletList(pairs) if pairs else f"No image of {images} was misclassified."
    scores = [
        Section("Most frequent confusions", [confusions]),
        Section("Scores of each class", [_class_table(matrix, class_names)]),
    ]
    return Section("Confusion matrix", [Columns([[confusion_matrix(matrix, class_names, images, subject)], scores])])


def _class_table(matrix: np.ndarray, class_names: Sequence[str]) -> Table:
    *scores, support = class_scores(matrix)
    shares = np.transpose(scores)
    columns = [*class_names, "Mean"], [*shares, shares.mean(axis=0)], [*support, support.sum()]
    rows = [
        [name, *("undefined" if np.isnan(share) else percent(share, 1) for share in row), str(images)]
        for name, row, images in zip(*columns, strict=True)
    ]
    return Table("Scores of each class", ["Class", "Precision", "Recall", "F1", "Support"], rows)


@plot_style()
def confusion_matrix(matrix: np.ndarray, class_names: Sequence[str], images: str, subject: Subject) -> Picture:
    """Draws a confusion matrix `int[classes, classes]`, rows the true classes: counts, coloured by share of the row."""
    figure = new_figure(6.2, "Confusion matrix", subject, layout="compressed")
    axes = figure.subplots()
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    # The square root spreads the small shares, which are the interesting ones.
    image = axes.imshow(shares, cmap="Blues", norm=PowerNorm(0.5, 0, 1))
    shrink = min(1.0, _FULL_SIZE / len(matrix))
    for (row, column), number in np.ndenumerate(matrix) if len(matrix) <= _MAX_NUMBERED else ():
        colour = "white" if shares[row, column] > 0.45 else INK if number else _ZERO
        weight = "bold" if row == column else "normal"
        axes.text(
            column, row, str(number), ha="center", va="center", color=colour, fontsize=8.5 * shrink, fontweight=weight
        )
    names: dict[str, Any] = {"labels": class_names, "fontsize": 10 * shrink}
    axes.set_xticks(range(len(matrix)), rotation=40, ha="right", rotation_mode="anchor", **names)
    axes.set_yticks(range(len(matrix)), **names)
    axes.set(xlabel="predicted class", ylabel="true class")
    axes.grid(visible=False)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    bar = figure.colorbar(image, ax=axes, ticks=[0, 0.01, 0.05, 0.1, 0.25, 0.5, 1], aspect=32, pad=0.02)
    share_axis(bar.ax.yaxis)
    bar.set_label("share of the true class")
    bar.outline.set_visible(False)
    hits, total = int(np.trace(matrix)), int(matrix.sum())
    worst = "".join(f" Most frequent confusion: {pair}." for pair in confused_pairs(matrix, class_names, limit=1))
    return Picture(
        "confusion_matrix",
        to_png(figure),
        f"Confusion matrix of {images}: {count(hits)} of {count(total)} images on the diagonal.{worst}",
        "Rows are true classes, columns predicted classes. Colour shows the share of the row, on a square-root scale.",
    )
