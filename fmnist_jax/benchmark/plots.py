"""The plots of the benchmark, from what `benchmark.json` holds; each function draws one and returns it as PNG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import MaxNLocator

from fmnist_jax.benchmark.interleaved import Spread, rates, spread
from fmnist_jax.benchmark.report import TASKS
from fmnist_jax.report.theme import FIRST, HEAD, MUTED, Subject, new_figure, plot_style, to_png

_PALE = "#9fb3c4"
_COLUMNS = 3
_TITLES = {"train": "training, images/s", "evaluate": "evaluation, images/s"}


def speeds(record: Mapping[str, Any]) -> bytes:
    """Draws everyone's images per second, a row of two axes for each model, with the range of the measurements."""
    models = record["models"]
    heights = [1.0 + 0.26 * len(model["candidates"]) for model in models.values()]
    with plot_style():
        figure = new_figure(HEAD + sum(heights), "Speed, side by side", _subject(record))
        grid = figure.subplots(len(models), 2, squeeze=False, height_ratios=heights)
        for row, (name, model) in zip(grid, models.items(), strict=True):
            for axes, task in zip(row, TASKS, strict=True):
                _bars(axes, list(model["candidates"]), model["summary"][task]["examples_per_second"])
                axes.set_xlabel(_TITLES[task])
            row[0].set_title(name, loc="left", fontsize=10, fontweight="bold")
            row[1].tick_params(labelleft=False)
        return to_png(figure)


def growth(record: Mapping[str, Any]) -> bytes | None:
    """Draws our training speed along each axis of numbers, from a new row on for each model; `None` without any.

    It is in images per second, but in GFLOP/s along the channels, with which an image becomes more work.
    """
    rows = []
    for name, axes in record["growth"].items():
        curves = [(axis, found) for axis, found in axes.items() if all(map(str.isdecimal, found))]
        rows += [("" if i else name, curves[i : i + _COLUMNS]) for i in range(0, len(curves), _COLUMNS)]
    if not rows:
        return None
    with plot_style():
        figure = new_figure(HEAD + 2.2 * len(rows), "Growth of our training speed", _subject(record))
        grid = figure.subplots(len(rows), max(len(row) for _, row in rows), squeeze=False)
        for (title, row), places in zip(rows, grid, strict=True):
            places[0].set_title(title, loc="left", fontsize=10, fontweight="bold")
            for axes, drawn in zip(places, row, strict=False):
                _curve(axes, *drawn)
            for axes in places[len(row) :]:
                axes.set_visible(False)
        return to_png(figure)


def _subject(record: Mapping[str, Any]) -> Subject:
    manifest = record["manifest"]
    text = (
        f"{manifest['processor']}, {manifest['cores']} cores; medians of {manifest['repeats']} interleaved measurements"
    )
    return Subject(text, synthetic=False)


def _bars(axes: Axes, names: Sequence[str], measured: Mapping[str, Spread]) -> None:
    for place, name in enumerate(names):
        if name in measured:
            speed = measured[name]
            colour = FIRST if name == "ours" else _PALE
            axes.barh(place, speed["median"], 0.7, xerr=_error_bars([speed]), color=colour, ecolor=MUTED)
            axes.annotate(f" {speed['median']:,.0f}", (speed["high"], place), va="center", fontsize=8)
        else:
            axes.annotate(" not measured", (0, place), va="center", fontsize=8, color=MUTED)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")
    # Room for the numbers to the right of the bars.
    axes.set_xlim(0, 1.3 * max((speed["high"] for speed in measured.values()), default=1.0))
    _thousands(axes.xaxis)


def _curve(axes: Axes, axis: str, found: Mapping[str, Any]) -> None:
    speeds = {}
    for value, record in found.items():
        unit = record["flops_per_example"] / 1e9 if axis == "channels" else 1.0
        if measured := rates(record, "train"):
            speeds[int(value)] = spread([unit * speed for speed in measured])
    if speeds:
        medians = [speed["median"] for speed in speeds.values()]
        axes.errorbar(list(speeds), medians, _error_bars(list(speeds.values())), fmt="o-", color=FIRST, ecolor=MUTED)
    axes.set_xscale("log", base=2)
    axes.set_xticks(list(speeds), [str(value) for value in speeds])
    axes.minorticks_off()
    axes.set_ylim(0, 1.1 * max((speed["high"] for speed in speeds.values()), default=1.0))
    axes.set_xlabel(axis)
    axes.set_ylabel("GFLOP/s" if axis == "channels" else "images/s")
    axes.tick_params(labelsize=7)
    _thousands(axes.yaxis)


def _error_bars(speeds: Sequence[Spread]) -> list[list[float]]:
    """Their lengths below and above the medians."""
    return [[s["median"] - s["low"] for s in speeds], [s["high"] - s["median"] for s in speeds]]


def _thousands(axis: Axis) -> None:
    axis.set_major_locator(MaxNLocator(4))
    axis.set_major_formatter(lambda number, _: f"{number / 1000:g} k" if number >= 1000 else f"{number:g}")
