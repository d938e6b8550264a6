"""A study with its analysis, and what all parts of its report share: title, styles, names of plots."""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Mapping

from fmnist_jax.compare.analysis.analyse import Analysis
from fmnist_jax.compare.analysis.study import Study, WorkloadRuns
from fmnist_jax.compare.analysis.workload import WorkloadFigures
from fmnist_jax.report.format import counted, listed
from fmnist_jax.report.plot_style import Subject
from fmnist_jax.report.study.arm_style import ArmStyle, arm_styles

_MAX_NAMED = 4  # arms; more are "every arm"


@dataclasses.dataclass(frozen=True)
class Context:
    """A study and its analysis; without `times`, the report leaves out seconds."""

    study: Study
    analysis: Analysis
    times: bool = True

    @property
    def synthetic(self) -> bool:
        return self.study.data == "synthetic"

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
        return (
            f"{arms}, {tuned}, trained with {same}{seeds}. Data set: {self.study.data}. Metric: {self.images} accuracy."
        )

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
