"""All figures of a study, and their conversion for JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from fmnist_jax.compare.analysis.study import Study
from fmnist_jax.compare.analysis.workload import WorkloadFigures, workload_figures
from fmnist_jax.compare.statistics.profiles import Profile, performance_profile


class Totals(NamedTuple):
    """Runs of both phases, and the seconds of wall time of their chunks.

    **Attributes:**

    - `planned`, `trained`: runs; `tuning`, `finals`: trained ones by phase.
    - `failed_tuning`, `failed_finals`: those of them that diverged.
    """

    planned: int
    trained: int
    tuning: int
    finals: int
    failed_tuning: int
    failed_finals: int
    train_seconds: float
    eval_seconds: float
    compile_seconds: float


class PerformanceProfiles(NamedTuple):
    """Performance profiles over the workloads for which every arm has final runs.

    **Attributes:**

    - `workloads`: their names, two or more.
    - `error`: by the mean error rate, which is one minus the score.
    - `steps`: by the median number of steps to each target on each workload; `None` without targets.
    """

    workloads: Sequence[str]
    error: Profile
    steps: Profile | None


class Analysis(NamedTuple):
    """The figures of a study: of each workload, in the order of the plan, and `profiles` over several workloads.

    `score` is what the arms are compared by: `"test_accuracy"` or `"val_accuracy"`, after the last epoch.
    """

    score: str
    workloads: Sequence[WorkloadFigures]
    profiles: PerformanceProfiles | None
    totals: Totals

    @property
    def complete(self) -> bool:
        """Whether all planned runs have been trained."""
        return not any(workload.missing for workload in self.workloads)


def analyse(study: Study) -> Analysis:
    """Returns the figures of the study, as far as it has been trained."""
    workloads = [workload_figures(workload, study) for workload in study.workloads]
    score = "test_accuracy" if study.design.score_test else "val_accuracy"
    return Analysis(score, workloads, _profiles(workloads, study.design.arms), _totals(study))


def _profiles(workloads: Sequence[WorkloadFigures], arms: Sequence[str]) -> PerformanceProfiles | None:
    """The profiles; `None` unless every arm has final runs on two workloads or more."""
    workloads = [workload for workload in workloads if len(workload.arms) == len(arms)]
    if len(workloads) < 2:
        return None
    # The lower bound: beside an accuracy of 1 every other error rate would be infinitely worse.
    errors = {arm: [max(1 - workload.arm(arm).mean.value, 1e-9) for workload in workloads] for arm in arms}
    reached = [found for workload in workloads for target in workload.targets for found in target.arms]
    steps = {arm: [found.steps.median for found in reached if found.arm == arm] for arm in arms}
    return PerformanceProfiles(
        [workload.name for workload in workloads],
        performance_profile(errors),
        performance_profile(steps) if reached else None,
    )


def _totals(study: Study) -> Totals:
    arms = [arm for workload in study.workloads for arm in workload.arms]
    tuning = [run.diverged for arm in arms for run in arm.tuning]
    finals = [run.diverged for arm in arms for run in arm.finals]
    chunks = study.chunks.values()
    return Totals(
        planned=sum(arm.planned_tuning + arm.planned_finals for arm in arms),
        trained=len(tuning) + len(finals),
        tuning=len(tuning),
        finals=len(finals),
        failed_tuning=sum(tuning),
        failed_finals=sum(finals),
        train_seconds=sum(chunk.train_seconds for chunk in chunks),
        eval_seconds=sum(chunk.eval_seconds for chunk in chunks),
        compile_seconds=sum(chunk.compile_seconds for chunk in chunks),
    )


def to_jsonable(value: Any) -> Any:
    """Returns figures as dicts, lists, strings and numbers, which may be NaN or infinite."""
    if isinstance(value, Mapping):
        return {str(key): to_jsonable(item) for key, item in value.items()}
    if hasattr(value, "_asdict"):
        return to_jsonable(value._asdict())
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    return [to_jsonable(item) for item in value] if isinstance(value, list | tuple) else value
