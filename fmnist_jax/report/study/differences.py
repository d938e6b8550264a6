"""Plots of an arm's runs side by side: paired differences to the best arm, and the share of runs that diverged."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, NullLocator

from fmnist_jax.compare.analysis.arms import ArmFigures
from fmnist_jax.compare.analysis.study import WorkloadRuns
from fmnist_jax.compare.analysis.workload import WorkloadFigures
from fmnist_jax.compare.records import TrainedRun
from fmnist_jax.compare.statistics.comparison import Comparison, PairedComparison
from fmnist_jax.report import theme
from fmnist_jax.report.format import listed, points
from fmnist_jax.report.model import Picture
from fmnist_jax.report.study.context import ArmStyle, Context

_ROW, _BAR = 0.42, 0.3  # inches: a row of the differences, a bar of the failures
_WIDE = 8.0  # ratio of the farthest to the nearest arm above which the axis is not linear
_SMALL = 0.1  # points, below which differences are not magnified further
_TICKS = (0.1, 1, 10, 0.5, 5, 50, 0.2, 2, 20, 0.05)  # the first that fit are taken


@theme.plot_style()
def paired_differences(context: Context, workload: WorkloadFigures, comparison: Comparison) -> Picture:
    """Draws each arm's differences to the best arm in points: a dot per seed, and the mean with its interval.

    The marker of the mean is filled where the difference is significant. A run that diverged has no dot, and its arm
    no mean; the number of such runs is written instead.
    """
    best, *others = comparison.arms
    subject, styles = context.subject(workload), context.styles
    named = dataclasses.replace(subject, text=f"to {styles[best].label}; {subject.text}")
    height = theme.HEAD + 0.75 + _ROW * len(others)
    figure = theme.new_figure(height, "Differences to the highest mean", named, key=True)
    axes = figure.subplots()
    scores = {arm: _scores(workload.arm(arm), comparison.seeds) for arm in comparison.arms}
    rows = [100 * (scores[arm] - scores[best]) for arm in others]
    for place, (arm, row) in enumerate(zip(others, rows, strict=True)):
        _draw_arm(axes, place, row, comparison.pair(best, arm), styles[arm])
    axes.axvline(0, color=theme.INK, linewidth=1)
    axes.set_yticks(range(len(others)), [styles[arm].label for arm in others])
    axes.tick_params(axis="y", length=0)
    xlabel = f"difference in {context.images} accuracy on the same seed, points"
    axes.set(ylim=(len(others) - 0.5, -0.5), xlabel=xlabel)
    _points_axis(axes, rows)
    mean: dict[str, Any] = {"color": theme.MUTED, "marker": "D", "markersize": 6.5, "mew": 1.5, "linewidth": 2.4}
    marks = [
        Line2D([], [], linestyle="", marker=".", color=theme.MUTED, label="one seed"),
        Line2D([], [], **mean, label="mean and CI, significant"),
        Line2D([], [], **mean, label="not significant", mfc="white"),
    ]
    theme.key_below_title(figure, marks)
    means = listed([f"{arm} {points(-comparison.pair(best, arm).difference.value)}" for arm in others])
    return Picture(
        f"{context.prefix(workload)}paired_differences",
        theme.to_png(figure, many_colours=True),
        f"Mean difference to {best} in points of accuracy: {means}.",
        f"Dots are seeds: the arm's accuracy minus that of {best} with the same initialisation and data order. Bars "
        f"are {context.level} CIs of the mean, not adjusted for multiple comparisons. Filled markers are significant "
        "after Holm adjustment for all pairs.",
    )


def _scores(figures: ArmFigures, seeds: Sequence[int]) -> np.ndarray:
    """Returns the arm's scores, `float64[seeds]`, NaN where a run diverged."""
    scores = dict(zip(figures.seeds, figures.scores, strict=True)) | dict.fromkeys(figures.failed_seeds, np.nan)
    return np.array([scores[seed] for seed in seeds])


def _draw_arm(axes: Axes, place: int, row: np.ndarray, pair: PairedComparison, style: ArmStyle) -> None:
    kept = row[~np.isnan(row)]
    # Offset in the order of the seeds, so that equal differences do not overlap.
    axes.plot(kept, place + np.linspace(0.1, 0.32, len(kept)), ".", color=style.colour, alpha=0.7, markersize=6)
    if lost := len(row) - len(kept):
        text, left = f"{lost} of {len(row)} seeds diverged", axes.get_yaxis_transform()
        axes.text(0.01, place - 0.2, text, transform=left, fontsize=8.5, color=theme.MUTED, va="center")
    mean, low, high = (-100 * value for value in pair.difference[:3])
    if np.isfinite(low) or len(row) == 1:
        axes.plot([low, high], [place - 0.12] * 2, color=style.colour, linewidth=2.4, solid_capstyle="butt")
        filled = style.colour if pair.significant else "white"
        axes.plot(mean, place - 0.12, "D", color=style.colour, mfc=filled, markersize=6.5, mew=1.5)


def _points_axis(axes: Axes, rows: Sequence[np.ndarray]) -> None:
    """Scales the x axis: linear, or inverse hyperbolic sine where some rows are much farther from 0 than others."""
    sizes = [float(np.nanmedian(np.abs(row))) for row in rows if np.isfinite(row).any()]
    unit = max(min(sizes, default=0.0), _SMALL)
    if max(sizes, default=0.0) <= _WIDE * unit:
        axes.margins(x=0.06)
    else:
        # The limits of all that is drawn; the interval of the mean may reach beyond the dots.
        low, high = np.arcsinh(np.array([axes.dataLim.x0, axes.dataLim.x1]) / unit)
        margin = 0.05 * (high - low)
        low, high = low - margin, high + margin
        axes.set_xscale("function", functions=(lambda x: np.arcsinh(x / unit), lambda x: unit * np.sinh(x)))
        axes.set_xlim(*(unit * np.sinh([low, high])))
        round_numbers = [0.0, *(tick for size in _TICKS for tick in (-size, size))]
        ticks = theme.spread_ticks(round_numbers, lambda x: np.arcsinh(x / unit), low, high, 0.09)
        axes.xaxis.set_major_locator(FixedLocator(ticks))
        axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(lambda x, _: f"{x:+g}".replace("-", "\N{MINUS SIGN}") if x else "0")


@theme.plot_style()
def failures(context: Context, workload: WorkloadRuns) -> Picture:
    """Draws for each arm the share of its tuning runs, where there are any, and of its final runs that diverged."""
    tuning = {arm.arm: arm.tuning for arm in workload.arms if arm.tuning}
    finals = {arm.arm: arm.finals for arm in workload.arms if arm.finals}
    shown = {title: runs for title, runs in (("tuning runs", tuning), ("final runs", finals)) if runs}
    height = theme.HEAD + 0.75 + _BAR * max(map(len, shown.values()))
    figure = theme.new_figure(height, "Runs that diverged", context.subject(workload))
    same_arms = len(set(map(len, shown.values()))) == 1
    panels = figure.subplots(1, len(shown), sharey=same_arms, squeeze=False)
    for axes, (title, runs) in zip(panels[0], shown.items(), strict=True):
        _draw_bars(context, axes, runs)
        axes.set_title(title, fontsize=9.5, loc="left", pad=4)
    lost = {arm.arm: sum(run.diverged for run in (*arm.tuning, *arm.finals)) for arm in workload.arms}
    who = listed([f"{arm} {number}" for arm, number in lost.items() if number])
    return Picture(
        f"{context.prefix(workload)}failures",
        theme.to_png(figure),
        f"Share of runs that diverged, by arm: {who}.",
        "A run diverges when its training or validation loss becomes non-finite. It is counted, never dropped.",
    )


def _draw_bars(context: Context, axes: Axes, runs: Mapping[str, Sequence[TrainedRun]]) -> None:
    styles, shares = [context.styles[arm] for arm in runs], []
    for place, found in enumerate(runs.values()):
        lost = sum(run.diverged for run in found)
        shares.append(lost / len(found))
        axes.text(shares[-1] + 0.015, place, f"{lost} of {len(found)}", va="center", fontsize=8.5)
    axes.barh(range(len(runs)), shares, height=0.62, color=[style.colour for style in styles])
    axes.set_yticks(range(len(runs)), [style.label for style in styles])
    axes.set(ylim=(len(runs) - 0.4, -0.6), xlim=(0, max(0.25, *shares) * 1.3))
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    theme.share_axis(axes.xaxis)
    axes.locator_params(axis="x", nbins=4)
