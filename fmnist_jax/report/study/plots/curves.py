"""Learning curves of a workload's arms, with bands over the seeds."""

from __future__ import annotations

import statistics
import warnings
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, NullFormatter

from fmnist_jax.compare.analysis.study import ArmRuns, WorkloadRuns
from fmnist_jax.report.study.plots.accuracy_axis import accuracy_axis
from fmnist_jax.report.study.plots.arm_style import ArmStyle, arm_legend, legend_rows
from fmnist_jax.report.style import Subject, new_figure, plot_style, to_png

_LOG_FROM = 5  # where the largest loss is that many times the smallest, the axis is logarithmic


def learning_curves(workload: WorkloadRuns, styles: Mapping[str, ArmStyle], subject: Subject) -> bytes:
    """Draws validation accuracy and training loss of the final runs against epochs.

    Lines are means over the seeds that had not diverged by then, bands reach from the lowest to the highest of them.
    """
    cells = sorted((cell for cell in workload.arms if cell.finals), key=_mean_accuracy, reverse=True)
    with plot_style():
        height = 6.6 + 0.2 * legend_rows([styles[cell.arm] for cell in cells])
        figure = new_figure(height, "Learning curves", subject)
        accuracy, loss = figure.subplots(2, 1, sharex=True, height_ratios=(1.25, 1))
        accuracy_axis(accuracy, _draw(accuracy, cells, styles, workload.epochs, "val_accuracy"))
        _loss_axis(loss, _draw(loss, cells, styles, workload.epochs, "train_loss"))
        accuracy.set_ylabel("validation accuracy")
        arm_legend(accuracy, [styles[cell.arm] for cell in cells])
        loss.set_ylabel("training loss")
        loss.set_xlabel("epochs")
        loss.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=10, min_n_ticks=1))
        loss.set_xlim(1 - 0.02 * workload.epochs, workload.epochs * 1.02)
        figure.align_ylabels()
        return to_png(figure, many_colours=True)


def seeds_by_epoch(cell: ArmRuns, epochs: int, name: str) -> np.ndarray:
    """Returns the figure `name` of the curves of the cell's final runs, `float64[seeds, epochs]`.

    NaN from the epoch on in which a run diverged.
    """
    values = np.full((len(cell.finals), epochs), np.nan)
    for row, member in zip(values, cell.finals, strict=True):
        until = len(member.curve.epoch) - member.diverged
        row[:until] = getattr(member.curve, name)[:until]
    return values


def _mean_accuracy(cell: ArmRuns) -> float:
    return statistics.fmean(member.final_val_accuracy for member in cell.finals)


def _draw(axes: Axes, cells: Sequence[ArmRuns], styles: Mapping[str, ArmStyle], epochs: int, name: str) -> np.ndarray:
    """Draws line and band of each cell; returns all the values that they show."""
    x, drawn = np.arange(1, epochs + 1), [np.zeros(0)]
    for cell in cells:
        values, style = seeds_by_epoch(cell, epochs, name), styles[cell.arm]
        with warnings.catch_warnings(action="ignore", category=RuntimeWarning):  # an epoch without a value is a gap
            mean, low, high = np.nanmean(values, 0), np.nanmin(values, 0), np.nanmax(values, 0)
        axes.fill_between(x, low, high, color=style.colour, alpha=0.16, linewidth=0)
        axes.plot(x, mean, marker=style.marker if epochs <= 2 else "", **style.of_line())
        drawn.append(values.ravel())
    return np.concatenate(drawn)


def _loss_axis(axes: Axes, losses: np.ndarray) -> None:
    losses = losses[np.isfinite(losses)]
    if losses.size and 0 < losses.min() * _LOG_FROM < losses.max():
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(lambda loss, _: f"{loss:g}")
        axes.yaxis.set_minor_formatter(NullFormatter())
