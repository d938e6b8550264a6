"""Learning-rate sensitivity: the score of every tuning trial against its learning rate, a panel for each arm."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from fmnist_jax.compare.analysis.arms import RATE, TuningFigures, winner
from fmnist_jax.compare.analysis.study import CHANCE, ArmRuns, TrainedRun, WorkloadRuns
from fmnist_jax.report.study.plots.accuracy_axis import accuracy_axis
from fmnist_jax.report.study.plots.arm_style import ArmStyle
from fmnist_jax.report.style import HEAD, INK, MUTED, Subject, new_figure, plot_style, to_png

_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_KEY = 0.3  # inches, of the key to the marks


def searched_rate(cell: ArmRuns) -> bool:
    """Returns whether the trials of a cell differ in their learning rate."""
    return len({member.hyperparameters.get(RATE) for member in cell.trials}) > 1


def rate_sensitivity(
    workload: WorkloadRuns, tuning: Sequence[TuningFigures], styles: Mapping[str, ArmStyle], subject: Subject
) -> bytes:
    """Draws validation accuracy after the last epoch of each trial against its learning rate, on a logarithmic scale.

    A ring marks the best trial of an arm, a diamond its defaults, a cross at the foot one that diverged; the line is
    the sensitivity in `tuning`. At least one cell has to have `searched_rate`; the others are left out.
    """
    cells = [cell for cell in workload.arms if searched_rate(cell)]
    columns = 2 if len(cells) <= 4 else 3
    rows = math.ceil(len(cells) / columns)
    height = HEAD + _KEY + 0.5 + (3.6 / columns) * rows
    with plot_style():
        figure = new_figure(height, "Learning-rate sensitivity", subject, head=HEAD + _KEY)
        panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        kept = [member for cell in cells for member in cell.trials if not member.diverged]
        accuracy_axis(panels[0, 0], np.array([member.final_val_accuracy for member in kept]), spacing=0.13)
        for axes, cell in zip(panels.flat, cells, strict=False):
            _curve(axes, next(figures for figures in tuning if figures.arm == cell.arm), styles[cell.arm])
            _panel(axes, cell, styles[cell.arm])
        for place in range(len(cells), panels.size):
            panels.flat[place].set_axis_off()
            # The axes above it are then the lowest of their column.
            panels.flat[max(0, place - columns)].tick_params(labelbottom=True)
        panels[0, 0].set_xscale("log")
        panels[0, 0].xaxis.set_major_formatter(lambda rate, _: f"10{str(round(math.log10(rate))).translate(_RAISED)}")
        panels[0, 0].xaxis.set_minor_locator(NullLocator())
        figure.supxlabel("learning rate", fontsize=10)
        figure.supylabel("validation accuracy", fontsize=10)
        _key(figure, any(member.diverged for cell in cells for member in cell.trials))
        return to_png(figure, many_colours=True)


def _curve(axes: Axes, figures: TuningFigures, style: ArmStyle) -> None:
    if figures.sensitivity is not None:
        # A corner at which all diverged would be off the axis; the line ends before it.
        scores = np.where(figures.sensitivity.scores > CHANCE, figures.sensitivity.scores, np.nan)
        axes.plot(figures.sensitivity.rates, scores, color=style.colour, alpha=0.35, linewidth=1.4)


def _panel(axes: Axes, cell: ArmRuns, style: ArmStyle) -> None:
    axes.set_title(style.label, fontsize=9.5, loc="left", color=INK, pad=4)
    kept = [member for member in cell.trials if not member.diverged]
    lost = [member for member in cell.trials if member.diverged]
    axes.plot(_rates(kept), [m.final_val_accuracy for m in kept], "o", color=style.colour, alpha=0.75, markersize=4.5)
    if lost:
        # At the foot of the axes, whatever the scale.
        axes.plot(_rates(lost), [0.04] * len(lost), "x", color=MUTED, transform=axes.get_xaxis_transform())
    for member in kept:
        if member.trial == 0:
            axes.plot(_rates([member]), [member.final_val_accuracy], "D", mfc="white", mec=style.colour, mew=1.5)
    best = winner(cell.trials)
    if not best.diverged:
        place = _rates([best]), [best.final_val_accuracy]
        axes.plot(*place, "o", markersize=10, mfc="none", mec=INK, mew=1.4, clip_on=False)


def _rates(members: Sequence[TrainedRun]) -> list[float]:
    return [member.hyperparameters[RATE] for member in members]


def _key(figure: Figure, lost: bool) -> None:
    marks = [
        Line2D([], [], linestyle="", marker="o", color=MUTED, markersize=4.5, label="a trial"),
        Line2D([], [], linestyle="", marker="D", mfc="white", mec=MUTED, mew=1.5, label="defaults"),
        Line2D([], [], linestyle="", marker="o", markersize=10, mfc="none", mec=INK, mew=1.4, label="best"),
    ]
    if lost:
        marks.append(Line2D([], [], linestyle="", marker="x", color=MUTED, label="diverged"))
    place = (0.0, 1 - (HEAD - 0.08) / figure.get_figheight())
    figure.legend(handles=marks, loc="upper left", bbox_to_anchor=place, ncols=4, columnspacing=1.4, handletextpad=0.2)
