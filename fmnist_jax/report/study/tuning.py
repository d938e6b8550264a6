"""Plots of tuning: the score of each trial against its learning rate, and of the best against the number of trials."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, NullLocator

from fmnist_jax.compare.analysis.arms import RATE, TuningFigures
from fmnist_jax.compare.analysis.study import ArmRuns, WorkloadRuns
from fmnist_jax.compare.analysis.workload import WorkloadFigures
from fmnist_jax.compare.trials import Trial, winner
from fmnist_jax.report import theme
from fmnist_jax.report.format import listed, percent
from fmnist_jax.report.model import Picture
from fmnist_jax.report.study.context import ArmStyle, Context, arm_legend, legend_rows

_DOT: Mapping[str, Any] = {"alpha": 0.75, "markersize": 4.5}
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


_LINE = "The line connects the best of neighbouring trials."
_HOLLOW = "Hollow ones were stopped early, with the score that they had by then."


@theme.plot_style()
def tuning_curves(context: Context, workload: WorkloadFigures) -> Picture:
    """Draws the expected best score of each arm against the number of trials, of which the first is its defaults.

    Leaves out arms without such a curve; one has to remain.
    """
    best_first = sorted(workload.tuning, key=lambda figures: -figures.best)
    curves = {figures.arm: figures.curve for figures in best_first if figures.curve is not None}
    styles = [context.styles[arm] for arm in curves]
    height = 4.3 + 0.2 * legend_rows(styles)
    figure = theme.new_figure(height, "Expected best score by number of trials", context.subject(workload))
    axes = figure.subplots()
    theme.accuracy_axis(axes, np.concatenate([curve.value for curve in curves.values()]))
    for curve, style in zip(curves.values(), styles, strict=True):
        marker = style.marker if len(curve.trials) <= 3 else ""
        axes.plot(curve.trials, curve.value, marker=marker, **style.of_line())
    axes.set(ylabel="validation accuracy", xlabel="tuning trials")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    arm_legend(axes, styles)
    best = listed([f"{figures.arm} {percent(figures.best)}" for figures in workload.tuning])
    return Picture(
        f"{context.prefix(workload)}tuning_curves",
        theme.to_png(figure, many_colours=True),
        f"Expected best validation accuracy against the number of trials. Best trial: {best}.",
        "The expected best validation accuracy after a number of trials, averaged over the orders of the trials; the "
        "first trial is the defaults (Sivaprasad et al. 2020).",
    )


def searches_learning_rate(arm: ArmRuns) -> bool:
    """Returns whether the trials of an arm differ in their learning rate."""
    return len({trial.hyperparameters.get(RATE) for trial in arm.trials}) > 1


@theme.plot_style()
def rate_sensitivity(context: Context, workload: WorkloadRuns, figures: WorkloadFigures) -> Picture:
    """Draws the final validation accuracy of each trial against its learning rate, one panel per arm.

    A ring marks the best trial of an arm, a diamond its defaults, a cross at the foot a trial that diverged; the line
    is the sensitivity. Leaves out arms whose trials all have the same learning rate; one has to remain.
    """
    arms = [arm for arm in workload.arms if searches_learning_rate(arm)]
    trials = [trial for arm in arms for trial in arm.trials]
    columns = 2 if len(arms) <= 4 else 3
    rows = math.ceil(len(arms) / columns)
    height = theme.HEAD + 0.5 + (3.6 / columns) * rows
    figure = theme.new_figure(height, "Learning-rate sensitivity", context.subject(workload), key=True)
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    kept = np.array([trial.score for trial in trials if not trial.diverged])
    theme.accuracy_axis(panels[0, 0], kept, spacing=0.13)
    tuning = {found.arm: found for found in figures.tuning}
    for axes, arm in zip(panels.flat, arms, strict=False):
        _draw_panel(axes, arm, tuning[arm.arm], context.styles[arm.arm], figures.chance)
    for place in range(len(arms), panels.size):
        panels.flat[place].set_axis_off()
        # The axes above it are then the lowest of their column.
        panels.flat[max(0, place - columns)].tick_params(labelbottom=True)
    panels[0, 0].set_xscale("log")
    xaxis = panels[0, 0].xaxis
    xaxis.set_major_formatter(lambda rate, _: f"10{str(round(math.log10(rate))).translate(_SUPERSCRIPT)}")
    xaxis.set_minor_locator(NullLocator())
    figure.supxlabel("learning rate", fontsize=10)
    figure.supylabel("validation accuracy", fontsize=10)
    theme.key_below_title(figure, _marks(any(trial.diverged for trial in trials)), handletextpad=0.2)
    last = _HOLLOW if context.study.design.halving else _LINE
    return Picture(
        f"{context.prefix(workload)}rate_sensitivity",
        theme.to_png(figure, many_colours=True),
        f"Validation accuracy of each tuning trial against its learning rate, for {listed([arm.arm for arm in arms])}.",
        f"Dots are trials; their other hyperparameters differ too. {last}",
    )


def _draw_panel(axes: Axes, arm: ArmRuns, figures: TuningFigures, style: ArmStyle, chance: float) -> None:
    if figures.sensitivity is not None:
        # A region in which all trials diverged would be off the axis: the line ends before it.
        scores = np.where(figures.sensitivity.scores > chance, figures.sensitivity.scores, np.nan)
        axes.plot(figures.sensitivity.rates, scores, color=style.colour, alpha=0.35, linewidth=1.4)
    axes.set_title(style.label, fontsize=9.5, loc="left", color=theme.INK, pad=4)
    kept = [trial for trial in arm.trials if not trial.diverged]
    full = max(trial.budget for trial in arm.trials)
    stopped = [trial for trial in kept if trial.budget < full]
    lost = [trial for trial in arm.trials if trial.diverged]
    axes.plot(*_places([trial for trial in kept if trial.budget == full]), "o", color=style.colour, **_DOT)
    axes.plot(*_places(stopped), "o", mec=style.colour, mfc="none", **_DOT)
    if lost:
        # At the foot of the axes, whatever the scale.
        axes.plot(_places(lost)[0], [0.04] * len(lost), "x", color=theme.MUTED, transform=axes.get_xaxis_transform())
    if defaults := [trial for trial in kept if trial.number == 0]:
        axes.plot(*_places(defaults), "D", mfc="white", mec=style.colour, mew=1.5)
    best = winner(arm.tuning)
    if not best.diverged:
        axes.plot(*_places([best]), "o", markersize=10, mfc="none", mec=theme.INK, mew=1.4, clip_on=False)


def _places(trials: Sequence[Trial]) -> tuple[list[float], list[float]]:
    return [trial.hyperparameters[RATE] for trial in trials], [trial.score for trial in trials]


def _marks(lost: bool) -> list[Line2D]:
    marks = [
        Line2D([], [], linestyle="", marker="o", color=theme.MUTED, markersize=4.5, label="trial"),
        Line2D([], [], linestyle="", marker="D", mfc="white", mec=theme.MUTED, mew=1.5, label="defaults"),
        Line2D([], [], linestyle="", marker="o", markersize=10, mfc="none", mec=theme.INK, mew=1.4, label="best"),
        Line2D([], [], linestyle="", marker="x", color=theme.MUTED, label="diverged"),
    ]
    return marks if lost else marks[:3]
