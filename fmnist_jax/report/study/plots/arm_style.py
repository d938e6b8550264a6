"""The look of each arm: the same colour, line and marker in every plot of a study."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

# The palette of Okabe and Ito (2008) but for its yellow, which is too pale on white.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#1c2430")
_LINES = ("-", (0, (4, 1.6)), (0, (1.2, 1.2)), (0, (6, 1.5, 1.2, 1.5)))
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_LONGEST = 26  # characters of an arm's name before a plot has no room for it
_ROW, _HANDLE = 76, 9  # of a legend: characters across, and those that an entry takes beside its name


@dataclasses.dataclass(frozen=True)
class ArmStyle:
    """How an arm is drawn, and under which `label`."""

    label: str
    colour: str
    line: Any
    marker: str

    def of_line(self) -> dict[str, Any]:
        """Returns the arguments for a line of the arm."""
        return {"color": self.colour, "linestyle": self.line, "label": self.label}


def arm_styles(arms: Sequence[str]) -> Mapping[str, ArmStyle]:
    """Returns the style of each arm; where there are more of them than colours, the line tells them apart."""
    return {arm: _style(place, arm) for place, arm in enumerate(arms)}


def short(arm: str) -> str:
    """Returns the name of an arm, cut where a plot has no room for it."""
    return arm if len(arm) <= _LONGEST else arm[: _LONGEST - 1] + "…"


def arm_legend(axes: Axes, styles: Sequence[ArmStyle]) -> None:
    """Puts the arms' names over the axes, in as many columns as fit the figure's width."""
    lines = [Line2D([], [], linewidth=2.2, **style.of_line()) for style in styles]
    columns = _columns(styles)
    axes.legend(
        handles=lines, loc="lower left", bbox_to_anchor=(0, 1), ncols=columns, borderaxespad=0.2, columnspacing=1.6
    )


def legend_rows(styles: Sequence[ArmStyle]) -> int:
    """Returns how many lines `arm_legend` takes."""
    return math.ceil(len(styles) / _columns(styles))


def _columns(styles: Sequence[ArmStyle]) -> int:
    lengths = [len(style.label) + _HANDLE for style in styles]
    for columns in range(len(styles), 1, -1):
        rows = math.ceil(len(styles) / columns)
        if sum(max(lengths[at : at + rows]) for at in range(0, len(lengths), rows)) <= _ROW:
            return columns
    return 1


def _style(place: int, arm: str) -> ArmStyle:
    turn, colour = divmod(place, len(_COLOURS))
    return ArmStyle(short(arm), _COLOURS[colour], _LINES[turn % len(_LINES)], _MARKERS[place % len(_MARKERS)])
