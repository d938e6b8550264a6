"""The plots of a run; each function draws one and returns it as a PNG."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.ticker import MaxNLocator, NullLocator

from fmnist_jax.data.dataset import CLASS_NAMES, NUM_CLASSES
from fmnist_jax.report.format import count, percent, probability
from fmnist_jax.report.plot_style import (
    FIRST,
    HEAD,
    INK,
    MUTED,
    SECOND,
    Subject,
    legend_above,
    log_scale_if_wide,
    new_figure,
    plot_style,
    share_axis,
    to_png,
)
from fmnist_jax.report.run.classification import Predictions, Reliability
from fmnist_jax.report.run.workdir import Epoch

_ZERO, _PALE = "#a9b2bd", "#9fb3c4"
_GALLERY_COLUMNS = 5
_TILE, _CAPTION = 1.175, 0.62  # inches: the height of a picture in the gallery, and of the three lines above it
_LOG_FROM = 50  # ratio of the largest to the smallest loss above which the axis is logarithmic


def convergence(epochs: Sequence[Epoch], validation: str, subject: Subject) -> bytes:
    """Draws loss and accuracy against epochs, for training and validation; non-finite values are gaps.

    `validation` names the validation images in the legend.
    """
    with plot_style():
        figure = new_figure(6.2, "Convergence", subject)
        loss, accuracy = figure.subplots(2, 1, sharex=True)
        _curves(loss, epochs, "loss", validation)
        _curves(accuracy, epochs, "accuracy", validation)
        loss.set_ylabel("cross-entropy loss")
        losses = np.array([(record.train_loss, record.val_loss) for record in epochs])
        log_scale_if_wide(loss, losses, _LOG_FROM)
        legend_above(loss, 2)
        accuracy.set_ylabel("accuracy")
        share_axis(accuracy.yaxis)
        accuracy.set_xlabel("epochs")
        _epoch_axis(accuracy, epochs)
        figure.align_ylabels()
        return to_png(figure)


def confusion_matrix(matrix: np.ndarray, subject: Subject) -> bytes:
    """Draws a confusion matrix `int[10, 10]`, rows the true classes: counts, coloured by their share of the row."""
    with plot_style():
        figure = new_figure(6.2, "Confusion matrix", subject, layout="compressed")
        axes = figure.subplots()
        shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
        # The square root spreads the small shares, which are the interesting ones.
        image = axes.imshow(shares, cmap="Blues", norm=PowerNorm(0.5, 0, 1))
        _write_counts(axes, matrix, shares)
        _class_axes(axes)
        bar = figure.colorbar(image, ax=axes, ticks=[0, 0.01, 0.05, 0.1, 0.25, 0.5, 1], aspect=32, pad=0.02)
        share_axis(bar.ax.yaxis)
        bar.set_label("share of the true class")
        bar.outline.set_visible(False)
        return to_png(figure)


def mistakes(predictions: Predictions, subject: Subject) -> bytes:
    """Draws the most confident mistakes, at least one, each with its true and predicted class and the probability."""
    rows = math.ceil(len(predictions.mistake_index) / _GALLERY_COLUMNS)
    height = HEAD + rows * (_TILE + _CAPTION)
    with plot_style():
        figure = new_figure(height, "Most confident mistakes", subject, layout="none")
        figure.subplots_adjust(0.015, 0.08 / height, 0.985, 1 - (HEAD + _CAPTION - 0.08) / height)
        figure.subplots_adjust(wspace=0.07, hspace=_CAPTION / _TILE)
        grid = list(figure.subplots(rows, _GALLERY_COLUMNS, squeeze=False).flat)
        for axes in grid:
            axes.set_axis_off()
        for axes, index, image in zip(grid, predictions.mistake_index, predictions.mistake_images, strict=False):
            axes.imshow(image, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
            _write_mistake(axes, int(predictions.labels[index]), predictions.probabilities[index])
        return to_png(figure)


def reliability_diagram(figures: Reliability, subject: Subject) -> bytes:
    """Draws accuracy against confidence with the expected calibration error, and the histogram of confidences.

    Source: Guo et al., "On calibration of modern neural networks", ICML 2017, figure 1.
    """
    with plot_style():
        figure = new_figure(6.2, f"Reliability, ECE {percent(figures.ece)}", subject)
        diagram, histogram = figure.subplots(2, 1, sharex=True, height_ratios=(2.2, 1))
        _draw_bins(diagram, figures)
        _draw_histogram(histogram, figures)
        diagram.set_xlim(0, 1)
        share_axis(histogram.xaxis)
        return to_png(figure)


def _curves(axes: Axes, epochs: Sequence[Epoch], figure: str, validation: str) -> None:
    x = [record.epoch for record in epochs]
    marker = "o" if len(epochs) <= 40 else ""
    for split, label, colour, line in (("train", "training", FIRST, "--"), ("val", validation, SECOND, "-")):
        y = [getattr(record, f"{split}_{figure}") for record in epochs]
        # An isolated value between gaps has no line, so it needs a marker.
        lone = marker or ("o" if np.isfinite(y).sum() < 3 else "")
        axes.plot(x, y, line, color=colour, marker=lone, label=label)


def _epoch_axis(axes: Axes, epochs: Sequence[Epoch]) -> None:
    first, last = epochs[0].epoch, epochs[-1].epoch
    margin = max(0.5, 0.02 * (last - first))
    axes.set_xlim(first - margin, last + margin)
    if last - first < 15:
        axes.set_xticks(range(first, last + 1))
    else:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _write_counts(axes: Axes, matrix: np.ndarray, shares: np.ndarray) -> None:
    for (row, column), number in np.ndenumerate(matrix):
        colour = "white" if shares[row, column] > 0.45 else INK if number else _ZERO
        weight = "bold" if row == column else "normal"
        axes.text(column, row, str(number), ha="center", va="center", color=colour, fontsize=8.5, fontweight=weight)


def _class_axes(axes: Axes) -> None:
    axes.set_xticks(range(NUM_CLASSES), CLASS_NAMES, rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(NUM_CLASSES), CLASS_NAMES)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    axes.grid(visible=False)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def _write_mistake(axes: Axes, label: int, probabilities: np.ndarray) -> None:
    predicted = int(probabilities.argmax())
    share = probability(float(probabilities[predicted]))
    lines = ((-9.6, CLASS_NAMES[label], INK), (-5.6, f"→ {CLASS_NAMES[predicted]}", SECOND), (-1.6, share, SECOND))
    for y, text, colour in lines:
        axes.text(-0.5, y, text, fontsize=8.8, color=colour, va="baseline")


def _draw_bins(axes: Axes, figures: Reliability) -> None:
    filled = figures.counts > 0
    left, accuracy = figures.edges[:-1][filled], figures.accuracy[filled]
    gap = figures.confidence[filled] - accuracy
    width = figures.edges[1]
    axes.bar(left, accuracy, width, align="edge", color=FIRST, edgecolor="white", label="accuracy")
    gaps = axes.bar(left, gap, width, bottom=accuracy, align="edge", fill=False, edgecolor=SECOND, hatch="////")
    gaps.set_label("gap to the mean confidence")
    axes.plot([0, 1], [0, 1], "--", color=MUTED, linewidth=1.2, label="calibrated")
    axes.set_ylim(0, 1)
    axes.set_ylabel("accuracy")
    share_axis(axes.yaxis)
    legend_above(axes, 3)


def _draw_histogram(axes: Axes, figures: Reliability) -> None:
    axes.bar(figures.edges[:-1], figures.counts, figures.edges[1], align="edge", color=_PALE, edgecolor="white")
    axes.axvline(figures.mean_confidence, color=SECOND, label=f"mean confidence {percent(figures.mean_confidence)}")
    axes.axvline(figures.mean_accuracy, color=FIRST, linestyle="--", label=f"accuracy {percent(figures.mean_accuracy)}")
    # Most images lie in the last bin; a linear axis would hide how few there are in the others.
    axes.set_yscale("log")
    axes.set_ylim(bottom=0.7)
    axes.yaxis.set_major_formatter(lambda number, _: count(number))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set_ylabel("images")
    axes.set_xlabel("confidence: the highest of the ten probabilities")
    legend_above(axes, 2)
