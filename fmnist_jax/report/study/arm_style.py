"""What a study's plots share: the colour, line and marker of each arm, and the axis of accuracies."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator

# The palette of Okabe and Ito (2008) but for its yellow, which is too pale on white.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#1c2430")
_LINES = ("-", (0, (4, 1.6)), (0, (1.2, 1.2)), (0, (6, 1.5, 1.2, 1.5)))
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_MAX_LABEL = 26  # characters of an arm's name that a plot has room for
_LEGEND_WIDTH, _HANDLE_WIDTH = 76, 9  # in characters: a row of the legend, and the line beside a name
_WIDE = 1.5  # ratio of the largest to the smallest error above which the scale is logarithmic
_SMALLEST = 1e-4  # error on the logarithmic scale
# The first that fit are taken, so the roundest come first.
_TICKS = (0.9, 0.5, 0.8, 0.1, 0.95, 0.7, 0.99, 0.6, 0.85, 0.92, 0.94, 0.3, 0.98, 0.91, 0.93, 0.96, 0.88, 0.75, 0.999)


@dataclasses.dataclass(frozen=True)
class ArmStyle:
    """How an arm is drawn, and its `label`."""

    label: str
    colour: str
    line: Any
    marker: str

    def of_line(self) -> dict[str, Any]:
        """Returns the arguments for a line of the arm."""
        return {"color": self.colour, "linestyle": self.line, "label": self.label}


def arm_styles(arms: Sequence[str]) -> Mapping[str, ArmStyle]:
    """Returns the style of each arm; lines differ where there are more arms than colours."""
    return {arm: _style(place, arm) for place, arm in enumerate(arms)}


def short(arm: str) -> str:
    """Returns the name of an arm, shortened to what a plot has room for."""
    return arm if len(arm) <= _MAX_LABEL else arm[: _MAX_LABEL - 1] + "…"


def arm_legend(axes: Axes, styles: Sequence[ArmStyle]) -> None:
    """Puts the arms' names above the axes, in as many columns as fit the figure's width."""
    lines = [Line2D([], [], linewidth=2.2, **style.of_line()) for style in styles]
    columns = _columns(styles)
    axes.legend(
        handles=lines, loc="lower left", bbox_to_anchor=(0, 1), ncols=columns, borderaxespad=0.2, columnspacing=1.6
    )


def legend_rows(styles: Sequence[ArmStyle]) -> int:
    """Returns the number of rows of `arm_legend`."""
    return math.ceil(len(styles) / _columns(styles))


def _columns(styles: Sequence[ArmStyle]) -> int:
    lengths = [len(style.label) + _HANDLE_WIDTH for style in styles]
    for columns in range(len(styles), 1, -1):
        rows = math.ceil(len(styles) / columns)
        if sum(max(lengths[at : at + rows]) for at in range(0, len(lengths), rows)) <= _LEGEND_WIDTH:
            return columns
    return 1


def _style(place: int, arm: str) -> ArmStyle:
    turn, colour = divmod(place, len(_COLOURS))
    return ArmStyle(short(arm), _COLOURS[colour], _LINES[turn % len(_LINES)], _MARKERS[place % len(_MARKERS)])


def accuracy_axis(axes: Axes, values: np.ndarray, spacing: float = 0.075) -> None:
    """Scales the y axis for accuracies `values`, shares of any shape, NaN ignored; ticks are in per cent.

    The scale is linear, or logarithmic in the error where the errors differ widely, so that it shows both a point at
    60 % and a tenth of a point at 92 %. Ticks are at least `spacing` of the axis apart.
    """
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    if (1 - low) < _WIDE * max(1 - high, _SMALLEST):
        margin = max(0.05 * (high - low), 5e-4)
        axes.set_ylim(max(0.0, low - margin), min(1.0, high + margin))
        axes.yaxis.set_major_locator(MaxNLocator(max(2, round(0.5 / spacing))))
    else:
        axes.set_yscale("function", functions=(_stretch, _shrink))
        bottom, top = _stretch(np.array([low, high]))
        margin = 0.04 * (top - bottom)
        axes.set_ylim(*_shrink(np.array([bottom - margin, top + margin])))
        axes.yaxis.set_major_locator(FixedLocator(_ticks(bottom - margin, top + margin, spacing)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(lambda share, _: f"{100 * share:.6g} %")


def _stretch(accuracy: np.ndarray) -> np.ndarray:
    return -np.log10(np.maximum(1 - np.asarray(accuracy), _SMALLEST))


def _shrink(stretched: np.ndarray) -> np.ndarray:
    return 1 - 10 ** -np.asarray(stretched)


def _ticks(bottom: float, top: float, spacing: float) -> list[float]:
    chosen: list[float] = []
    for tick in _TICKS:
        place = float(_stretch(np.array(tick)))
        near = any(abs(place - float(_stretch(np.array(other)))) < spacing * (top - bottom) for other in chosen)
        if bottom <= place <= top and not near:
            chosen.append(tick)
    return chosen
