"""A study with its analysis, and what all parts of its report share: its title, how its arms and plots look."""

from __future__ import annotations

import dataclasses
import functools
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from fmnist_jax.compare.analysis.analyse import Analysis
from fmnist_jax.compare.analysis.study import Study, WorkloadRuns
from fmnist_jax.compare.analysis.workload import WorkloadFigures
from fmnist_jax.report.format import counted, listed
from fmnist_jax.report.theme import Subject, legend_above

_MAX_NAMED = 4  # arms; more are "every arm"
# The palette of Okabe and Ito (2008) but for its yellow, which is too pale on white.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#1c2430")
_LINES = ("-", (0, (4, 1.6)), (0, (1.2, 1.2)), (0, (6, 1.5, 1.2, 1.5)))
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_MAX_LABEL = 26  # characters of an arm's name that a plot has room for
_LEGEND_WIDTH, _HANDLE_WIDTH = 76, 9  # in characters: a row of the legend, and the line beside a name


@dataclasses.dataclass(frozen=True)
class Context:
    """A study and its analysis; without `times`, the report leaves out seconds."""

    study: Study
    analysis: Analysis
    times: bool = True

    @property
    def synthetic(self) -> bool:
        return "synthetic" in (self.study.design.datasets or [self.study.data])

    @property
    def images(self) -> str:
        """The images of the score: `"test"` or `"validation"`."""
        on_test = self.study.design.score_test or self.study.validation_is_test
        return "test" if on_test else "validation"

    @property
    def level(self) -> str:
        """The confidence level of the intervals."""
        return f"{100 * self.study.design.confidence:g} %"

    @functools.cached_property
    def styles(self) -> Mapping[str, ArmStyle]:
        return arm_styles(self.study.design.arms)

    @property
    def title(self) -> str:
        arms, workloads = self.study.design.arms, self.study.workloads
        who = " against ".join(arms) if len(arms) == 2 and len("".join(arms)) < 40 else counted(len(arms), "optimizer")
        where = workloads[0].name if len(workloads) == 1 else counted(len(workloads), "workload")
        title = f"{arms[0]} alone: {where}" if len(arms) == 1 else f"{who}: {where}"
        return title if self.analysis.complete else f"{title} (incomplete)"

    @property
    def lead(self) -> str:
        """One line on what was done."""
        design = self.study.design
        arms = listed(design.arms) if len(design.arms) <= _MAX_NAMED else "Every arm"
        tuned = f"tuned with {counted(design.trials, 'trial')}" if design.tuned else "at fixed settings"
        same = "the same " if len(design.arms) > 1 else ""
        seeds = counted(design.seeds, "seed")
        data = f"Data set{'s' * (len(design.datasets) > 1)}: {self.study.data}"
        return f"{arms}, {tuned}, trained with {same}{seeds}. {data}. Metric: {self.images} accuracy."

    def subject(self, workload: WorkloadRuns | WorkloadFigures) -> Subject:
        """Returns the subtitle of the plots of a workload."""
        seeds = counted(self.study.design.seeds, "seed")
        missing = "" if self.analysis.complete else "; INCOMPLETE"
        return Subject(f"{workload.name}; {seeds}{missing}", self.synthetic)

    def prefix(self, workload: WorkloadRuns | WorkloadFigures) -> str:
        """Returns the prefix of the names of the workload's plots; empty where it is the only workload."""
        if len(self.study.workloads) == 1:
            return ""
        # The number separates names that differ only in characters that are unsafe in a file name.
        number = [each.name for each in self.study.workloads].index(workload.name) + 1
        return re.sub(r"[^a-z0-9.]+", "-", f"{number}-{workload.name}".lower()).strip("-") + "-"


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
    styles = {}
    for place, arm in enumerate(arms):
        turn, colour = divmod(place, len(_COLOURS))
        label = arm if len(arm) <= _MAX_LABEL else arm[: _MAX_LABEL - 1] + "…"
        styles[arm] = ArmStyle(label, _COLOURS[colour], _LINES[turn % len(_LINES)], _MARKERS[place % len(_MARKERS)])
    return styles


def arm_legend(axes: Axes, styles: Sequence[ArmStyle]) -> None:
    """Puts the arms' names above the axes, in as many columns as fit the figure's width."""
    lines = [Line2D([], [], linewidth=2.2, **style.of_line()) for style in styles]
    legend_above(axes, _columns(styles), lines)


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
