"""A study with its figures, and the words for it that all parts of its report share."""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Mapping

from fmnist_jax.compare.analysis.analyse import Analysis
from fmnist_jax.compare.analysis.study import Study, WorkloadRuns
from fmnist_jax.compare.analysis.workload import WorkloadFigures
from fmnist_jax.report.study.plots.arm_style import ArmStyle, arm_styles
from fmnist_jax.report.style import Subject
from fmnist_jax.report.wording import counted, listed

_LISTED = 4  # arms that are named


@dataclasses.dataclass(frozen=True)
class Context:
    """What the report is of."""

    study: Study
    analysis: Analysis

    @property
    def synthetic(self) -> bool:
        return self.study.data == "synthetic"

    @property
    def images(self) -> str:
        """The images that the score is of, in words."""
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
        who = listed(design.arms) if len(design.arms) <= _LISTED else "Each"
        tuned = f"tuned by {counted(design.trials, 'trial')}, then" if design.tuned else "at given settings,"
        seeds = counted(design.seeds, "seed") + (", the same for all" if len(design.arms) > 1 else "")
        return f"{who} {tuned} run on {seeds}. Data set {self.study.data}, {self.images} accuracy."

    def subject(self, workload: WorkloadRuns | WorkloadFigures) -> Subject:
        """Returns what a plot of the workload is of."""
        seeds = counted(self.study.design.seeds, "seed")
        missing = "" if self.analysis.complete else "; INCOMPLETE"
        return Subject(f"{workload.name}; {seeds}{missing}", self.synthetic)

    def prefix(self, workload: WorkloadRuns | WorkloadFigures) -> str:
        """Returns how the names of the workload's files begin; with nothing where it is the only one."""
        if len(self.study.workloads) == 1:
            return ""
        # The number keeps apart what differs in characters that no file name should have.
        number = [each.name for each in self.study.workloads].index(workload.name) + 1
        return re.sub(r"[^a-z0-9.]+", "-", f"{number}-{workload.name}".lower()).strip("-") + "-"
