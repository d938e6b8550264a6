"""The plots of the benchmark, from what `benchmark.json` holds; each function draws one and returns it as PNG."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from fmnist_jax.benchmark.figures import TASKS, Spread, rates, spread
from fmnist_jax.report.plot_style import FIRST, HEAD, MUTED, Subject, new_figure, plot_style, to_png

_Named = tuple[str, Mapping[str, Any]]
_PALE = "#9fb3c4"
_ABREAST = 3
_TITLES = {"train": "training, examples/s", "evaluate": "evaluation, examples/s"}


def speeds(record: Mapping[str, Any]) -> bytes:
    """Draws everyone's examples a second, a row of two axes for each model; lines from the lowest to the highest."""
    models = record["models"]
    heights = [1.0 + 0.26 * len(model["contenders"]) for model in models.values()]
    with plot_style():
        figure = new_figure(HEAD + sum(heights), "Speed, side by side", _subject(record))
        grid = figure.subplots(len(models), 2, squeeze=False, height_ratios=heights)
        for row, (name, model) in zip(grid, models.items(), strict=True):
            for axes, task in zip(row, TASKS, strict=True):
                _bars(axes, list(model["contenders"]), model["summary"][task]["examples_per_second"])
                axes.set_xlabel(_TITLES[task])
            row[0].set_title(name, loc="left", fontsize=10, fontweight="bold")
            row[1].tick_params(labelleft=False)
        return to_png(figure)


def growth(record: Mapping[str, Any]) -> bytes:
    """Draws our training speed along each axis of growth, for each model from a new row on.

    It is in examples a second, but along the channels, with which an example becomes more work, in GFLOP/s.
    """
    rows = [row for name, axes in record["growth"].items() for row in _rows(name, list(axes.items()))]
    with plot_style():
        figure = new_figure(HEAD + 2.2 * len(rows), "Growth of our training speed", _subject(record))
        grid = figure.subplots(len(rows), max(len(row) for _, row in rows), squeeze=False)
        for (title, row), places in zip(rows, grid, strict=True):
            places[0].set_title(title, loc="left", fontsize=10, fontweight="bold")
            for axes, drawn in itertools.zip_longest(places, row):
                if drawn:
                    _curve(axes, *drawn)
                else:
                    axes.set_visible(False)
        return to_png(figure)


def _rows(name: str, curves: Sequence[_Named]) -> Iterator[tuple[str, Sequence[_Named]]]:
    """So many curves as fit side by side, again and again, the name beside the first."""
    for start in range(0, len(curves), _ABREAST):
        yield ("" if start else name), curves[start : start + _ABREAST]


def _subject(record: Mapping[str, Any]) -> Subject:
    manifest = record["manifest"]
    text = f"{manifest['processor']}, cores: {manifest['cores']}; medians of {manifest['repeats']} measurements in turn"
    return Subject(text, synthetic=False)


def _bars(axes: Axes, names: Sequence[str], measured: Mapping[str, Mapping[str, float]]) -> None:
    for place, name in enumerate(names):
        if name in measured:
            figure = Spread(**measured[name])
            colour = FIRST if name == "ours" else _PALE
            axes.barh(place, figure.median, 0.7, xerr=_reach([figure]), color=colour, ecolor=MUTED)
            axes.annotate(f" {figure.median:,.0f}", (figure.high, place), va="center", fontsize=8)
        else:
            axes.annotate(" not measured", (0, place), va="center", fontsize=8, color=MUTED)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")
    # Room for the numbers to the right of the bars.
    axes.set_xlim(0, 1.3 * max((figure["high"] for figure in measured.values()), default=1.0))
    _thousands(axes, "x")


def _curve(axes: Axes, axis: str, found: Mapping[str, Any]) -> None:
    counted = axis == "channels"
    points = {int(value): _speeds(entrant, counted) for value, entrant in found.items()}
    points = {value: speeds for value, speeds in points.items() if speeds}
    figures = [spread(speeds) for speeds in points.values()]
    medians = [figure.median for figure in figures]
    if figures:
        axes.errorbar(list(points), medians, _reach(figures), fmt="o-", color=FIRST, ecolor=MUTED)
    axes.set_xscale("log", base=2)
    axes.set_xticks(list(points), [str(value) for value in points])
    axes.minorticks_off()
    axes.set_ylim(0, 1.1 * max((figure.high for figure in figures), default=1.0))
    axes.set_xlabel(axis)
    axes.set_ylabel("GFLOP/s" if counted else "examples/s")
    axes.tick_params(labelsize=7)
    _thousands(axes, "y")


def _speeds(entrant: Mapping[str, Any], counted: bool) -> list[float]:
    """Examples a second in each measurement, or the arithmetic counted for them in GFLOP/s."""
    each = entrant["flops_per_example"] / 1e9 if counted else 1.0
    return [each * speed for speed in rates(entrant, "train")]


def _reach(figures: Sequence[Spread]) -> list[list[float]]:
    """Lengths of error bars below and above the medians."""
    return [[f.median - f.low for f in figures], [f.high - f.median for f in figures]]


def _thousands(axes: Axes, which: str) -> None:
    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_locator(MaxNLocator(4))
    axis.set_major_formatter(lambda number, _: f"{number / 1000:g} k" if number >= 1000 else f"{number:g}")
