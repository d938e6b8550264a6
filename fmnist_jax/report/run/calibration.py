"""Whether a network is as confident as it is accurate: the reliability diagram, and its most confident mistakes."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

from fmnist_jax.report import theme
from fmnist_jax.report.format import count, percent, probability
from fmnist_jax.report.model import Columns, Picture, Section
from fmnist_jax.report.run.workdir import Predictions

_PALE = "#9fb3c4"
_GALLERY_COLUMNS = 5
_TILE, _CAPTION = 1.175, 0.62  # inches: the height of a picture in the gallery, and of the three lines above it


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


def reliability(labels: np.ndarray, probabilities: np.ndarray, bins: int = 15) -> Reliability:
    """Returns the accuracy of predictions against their confidence, the highest probability of each.

    Source: Guo, Pleiss, Sun and Weinberger, "On calibration of modern neural networks", ICML 2017, with 15 bins.

    **Arguments:**

    - `labels`: integers `[n]`, n > 0.
    - `probabilities`: `float[n, classes]`, finite.
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


def calibration_section(
    predictions: Predictions,
    calibration: Reliability | None,
    class_names: Sequence[str],
    images: str,
    subject: theme.Subject,
) -> Section:
    """Returns the reliability diagram and the most confident mistakes on `images`, or why there are none."""
    if calibration is None:
        return Section("Calibration", ["Some predicted probabilities are not finite, so there is no calibration."])
    none = f"The workdir holds no picture of a mistake on {images}."
    gallery = mistakes(predictions, class_names, images, subject) if predictions.mistake_index.size else none
    return Section("Calibration", [Columns([[reliability_diagram(calibration, images, subject)], [gallery]])])


@theme.plot_style()
def reliability_diagram(calibration: Reliability, images: str, subject: theme.Subject) -> Picture:
    """Draws accuracy against confidence with the expected calibration error, and the histogram of confidences.

    Source: Guo et al., "On calibration of modern neural networks", ICML 2017, figure 1.
    """
    ece = percent(calibration.ece)
    figure = theme.new_figure(6.2, f"Reliability, ECE {ece}", subject)
    diagram, histogram = figure.subplots(2, 1, sharex=True, height_ratios=(2.2, 1))
    _draw_bins(diagram, calibration)
    _draw_histogram(histogram, calibration)
    diagram.set_xlim(0, 1)
    theme.share_axis(histogram.xaxis)
    confidence, accuracy = percent(calibration.mean_confidence), percent(calibration.mean_accuracy)
    return Picture(
        "reliability",
        theme.to_png(figure),
        f"Reliability diagram of {images}: expected calibration error {ece}, mean confidence {confidence}, accuracy "
        f"{accuracy}.",
        "The blue bars of a calibrated network end at the dashed line. Hatching above a bar shows overconfidence, "
        "hatching inside it underconfidence. The histogram counts the images on a logarithmic scale; bins with few "
        "images are noisy.",
    )


def _draw_bins(axes: Axes, calibration: Reliability) -> None:
    filled = calibration.counts > 0
    left, accuracy = calibration.edges[:-1][filled], calibration.accuracy[filled]
    gap = calibration.confidence[filled] - accuracy
    width = calibration.edges[1]
    axes.bar(left, accuracy, width, align="edge", color=theme.FIRST, edgecolor="white", label="accuracy")
    gaps = axes.bar(left, gap, width, bottom=accuracy, align="edge", fill=False, edgecolor=theme.SECOND, hatch="////")
    gaps.set_label("gap to the mean confidence")
    axes.plot([0, 1], [0, 1], "--", color=theme.MUTED, linewidth=1.2, label="calibrated")
    axes.set(ylim=(0, 1), ylabel="accuracy")
    theme.share_axis(axes.yaxis)
    theme.legend_above(axes, 3)


def _draw_histogram(axes: Axes, calibration: Reliability) -> None:
    confidence, accuracy = calibration.mean_confidence, calibration.mean_accuracy
    left, width = calibration.edges[:-1], calibration.edges[1]
    axes.bar(left, calibration.counts, width, align="edge", color=_PALE, edgecolor="white")
    axes.axvline(confidence, color=theme.SECOND, label=f"mean confidence {percent(confidence)}")
    axes.axvline(accuracy, color=theme.FIRST, linestyle="--", label=f"accuracy {percent(accuracy)}")
    # Most images lie in the last bin; a linear axis would hide how few there are in the others.
    axes.set_yscale("log")
    axes.set_ylim(bottom=0.7)
    axes.yaxis.set_major_formatter(lambda number, _: count(number))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set(ylabel="images", xlabel="confidence: the highest of the class probabilities")
    theme.legend_above(axes, 2)


@theme.plot_style()
def mistakes(predictions: Predictions, class_names: Sequence[str], images: str, subject: theme.Subject) -> Picture:
    """Draws the most confident mistakes, at least one, each with its true and predicted class and the probability."""
    rows = math.ceil(len(predictions.mistake_index) / _GALLERY_COLUMNS)
    height = theme.HEAD + rows * (_TILE + _CAPTION)
    figure = theme.new_figure(height, "Most confident mistakes", subject, layout="none")
    figure.subplots_adjust(0.015, 0.08 / height, 0.985, 1 - (theme.HEAD + _CAPTION - 0.08) / height)
    figure.subplots_adjust(wspace=0.07, hspace=_CAPTION / _TILE)
    grid = list(figure.subplots(rows, _GALLERY_COLUMNS, squeeze=False).flat)
    for axes in grid:
        axes.set_axis_off()
    captions = []
    for axes, index, image in zip(grid, predictions.mistake_index, predictions.mistake_images, strict=False):
        theme.show_image(axes, image)
        row = predictions.probabilities[index]
        true, predicted = (theme.truncated(class_names[i]) for i in (predictions.labels[index], row.argmax()))
        share = probability(float(row.max()))
        captions.append((true, predicted, share))
        for line, text, colour in (
            (2, true, theme.INK),
            (1, f"→ {predicted}", theme.SECOND),
            (0, share, theme.SECOND),
        ):
            place = {"xycoords": "axes fraction", "textcoords": "offset points", "xytext": (0, 5 + 12 * line)}
            axes.annotate(text, (0, 1), **place, fontsize=8.8, color=colour, va="baseline")
    number, (true, predicted, share) = len(captions), captions[0]
    return Picture(
        "mistakes",
        theme.to_png(figure),
        f"{number} misclassified images of {images}; first {true}, predicted as {predicted} with {share}.",
        f"The {number} most confident mistakes: the true class, the predicted class and its probability.",
    )
