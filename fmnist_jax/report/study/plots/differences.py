"""Paired differences: what each arm scores above or below the best one, seed by seed."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, NullLocator

from fmnist_jax.compare.analysis.workload import WorkloadFigures
from fmnist_jax.compare.statistics.comparison import Comparison
from fmnist_jax.report.study.plots.arm_style import ArmStyle
from fmnist_jax.report.style import HEAD, INK, MUTED, Subject, new_figure, plot_style, to_png

_ROW, _KEY = 0.42, 0.3  # inches: an arm, the key
_WIDE = 8.0  # how many times as far off as the nearest arm another has to be for the axis not to be linear
_SMALL = 0.1  # points, below which no difference is magnified further
_TICKS = (0.1, 1, 10, 0.5, 5, 50, 0.2, 2, 20, 0.05)  # the first that fit are taken


def differences(workload: WorkloadFigures, images: str, styles: Mapping[str, ArmStyle], subject: Subject) -> bytes:
    """Draws, for each arm but the best, a dot for each seed, and their mean with its interval, in points.

    The workload has to have a comparison. The mark of the mean is filled where the difference is significant. A run
    that diverged has no dot, and its arm no mean: how many there are is written instead.

    **Arguments:**

    - `images`: those that the score is of: `"test"` or `"validation"`.
    """
    comparison = workload.comparison
    assert comparison is not None
    best, *others = comparison.arms
    rows = [_points(workload, comparison, best, arm) for arm in others]
    height = HEAD + _KEY + 0.75 + _ROW * len(others)
    with plot_style():
        named = dataclasses.replace(subject, text=f"to {styles[best].label}; {subject.text}")
        figure = new_figure(height, "Differences to the highest mean", named, head=HEAD + _KEY)
        axes = figure.subplots()
        for place, (arm, row) in enumerate(zip(others, rows, strict=True)):
            _draw_row(axes, place, row, styles[arm])
            _draw_mean(axes, place, comparison, best, arm, styles[arm])
        axes.axvline(0, color=INK, linewidth=1)
        axes.set_yticks(range(len(others)), [styles[arm].label for arm in others])
        axes.set_ylim(len(others) - 0.5, -0.5)
        axes.tick_params(axis="y", length=0)
        axes.set_xlabel(f"points of {images} accuracy above it (right) or below, on the same seed")
        _points_axis(axes, rows)
        place_of_key = (0.0, 1 - (HEAD - 0.08) / height)
        figure.legend(handles=_key(), loc="upper left", bbox_to_anchor=place_of_key, ncols=3, columnspacing=1.4)
        return to_png(figure, many_colours=True)


def _points(workload: WorkloadFigures, comparison: Comparison, best: str, arm: str) -> np.ndarray:
    """Returns the differences in points, `float64[seeds]`, NaN where a run of the two diverged."""
    rows = []
    for name in (best, arm):
        figures = workload.arm(name)
        scores = dict(zip(figures.seeds, figures.scores, strict=True)) | dict.fromkeys(figures.failed_seeds, np.nan)
        rows.append([scores[seed] for seed in comparison.seeds])
    return 100 * (np.array(rows[1]) - np.array(rows[0]))


def _draw_row(axes: Axes, place: int, row: np.ndarray, style: ArmStyle) -> None:
    lost = int(np.isnan(row).sum())
    kept = row[~np.isnan(row)]
    # Spread over the row in the order of the seeds, so that equal differences stay apart.
    axes.plot(kept, place + np.linspace(0.1, 0.32, len(kept)), ".", color=style.colour, alpha=0.7, markersize=6)
    if lost:
        text = f"{lost} of {len(row)} seeds diverged"
        axes.text(0.01, place - 0.2, text, transform=axes.get_yaxis_transform(), fontsize=8.5, color=MUTED, va="center")


def _draw_mean(axes: Axes, place: int, comparison: Comparison, best: str, arm: str, style: ArmStyle) -> None:
    pair = comparison.pair(best, arm)
    mean, low, high = (-100 * value for value in (pair.difference.value, pair.difference.low, pair.difference.high))
    if np.isnan(low) and len(comparison.seeds) > 1:
        return
    axes.plot([low, high], [place - 0.12] * 2, color=style.colour, linewidth=2.4, solid_capstyle="butt")
    filled = style.colour if pair.significant else "white"
    axes.plot(mean, place - 0.12, "D", color=style.colour, markerfacecolor=filled, markersize=6.5, markeredgewidth=1.5)


def _points_axis(axes: Axes, rows: Sequence[np.ndarray]) -> None:
    """Scales the x axis: linear, or as the inverse hyperbolic sine where some rows are much farther off than others."""
    sizes = [float(np.nanmedian(np.abs(row))) for row in rows if np.isfinite(row).any()]
    if not sizes or max(sizes) <= _WIDE * max(min(sizes), _SMALL):
        axes.margins(x=0.06)
    else:
        scale = max(min(sizes), _SMALL)
        # Whatever has been drawn; the mean's interval may reach beyond its dots.
        low, high = np.arcsinh(np.array([axes.dataLim.x0, axes.dataLim.x1]) / scale)
        margin = 0.05 * (high - low)
        axes.set_xscale("function", functions=(lambda x: np.arcsinh(x / scale), lambda x: scale * np.sinh(x)))
        axes.set_xlim(*(scale * np.sinh([low - margin, high + margin])))
        axes.xaxis.set_major_locator(FixedLocator(_ticks(low - margin, high + margin, scale)))
        axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(lambda points, _: f"{points:+g}".replace("-", "\N{MINUS SIGN}") if points else "0")


def _ticks(low: float, high: float, scale: float) -> list[float]:
    """Returns round numbers between the limits, given on the axis's scale, that leave each other room."""
    kept = [0.0]
    for size in _TICKS:
        for tick in (-size, size):
            places = np.arcsinh(np.array([tick, *kept]) / scale)
            if low <= places[0] <= high and np.abs(places[1:] - places[0]).min() > 0.09 * (high - low):
                kept.append(tick)
    return kept


def _key() -> list[Line2D]:
    mean: dict[str, Any] = {"color": MUTED, "marker": "D", "markersize": 6.5, "markeredgewidth": 1.5, "linewidth": 2.4}
    return [
        Line2D([], [], linestyle="", marker=".", color=MUTED, label="a seed"),
        Line2D([], [], **mean, label="mean and interval, significant"),
        Line2D([], [], **mean | {"markerfacecolor": "white"}, label="not significant"),
    ]
