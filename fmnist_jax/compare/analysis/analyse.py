"""From a study to all of its figures, and these as plain JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fmnist_jax.compare.analysis.study import Study
from fmnist_jax.compare.analysis.workload import WorkloadFigures, workload_figures
from fmnist_jax.compare.statistics.profiles import Profile, performance_profile


@dataclasses.dataclass(frozen=True)
class Totals:
    """Runs of both phases, and the seconds of wall time that their chunks took.

    **Attributes:**

    - `planned`, `trained`: runs; `trials`, `finals`: those trained, by phase.
    - `failed_trials`, `failed_finals`: those of them that diverged.
    """

    planned: int
    trained: int
    trials: int
    finals: int
    failed_trials: int
    failed_finals: int
    train_seconds: float
    eval_seconds: float
    compile_seconds: float


@dataclasses.dataclass(frozen=True)
class Analysis:
    """The figures of a study: of each workload, in the order of the plan, and `profiles` over several workloads.

    `score` is what the arms are compared by: `"test_accuracy"` or `"val_accuracy"`, after the last epoch.
    """

    score: str
    workloads: Sequence[WorkloadFigures]
    profiles: PerformanceProfiles | None
    totals: Totals

    @property
    def complete(self) -> bool:
        """Whether everything that was planned is there."""
        return not any(workload.missing for workload in self.workloads)


def analyse(study: Study) -> Analysis:
    """Returns the figures of the study, as far as it has been trained."""
    workloads = [workload_figures(workload, study) for workload in study.workloads]
    score = "test_accuracy" if study.design.score_test else "val_accuracy"
    return Analysis(score, workloads, across(workloads, study.design.arms), _totals(study))


def _totals(study: Study) -> Totals:
    cells = [cell for workload in study.workloads for cell in workload.arms]
    trials = [member.diverged for cell in cells for member in cell.trials]
    finals = [member.diverged for cell in cells for member in cell.finals]
    chunks = study.chunks.values()
    return Totals(
        planned=sum(cell.planned_trials + cell.planned_finals for cell in cells),
        trained=len(trials) + len(finals),
        trials=len(trials),
        finals=len(finals),
        failed_trials=sum(trials),
        failed_finals=sum(finals),
        train_seconds=sum(chunk.train_seconds for chunk in chunks),
        eval_seconds=sum(chunk.eval_seconds for chunk in chunks),
        compile_seconds=sum(chunk.compile_seconds for chunk in chunks),
    )


def to_jsonable(value: Any) -> Any:
    """Returns figures as what JSON knows: dicts, lists, strings and numbers, those that are not finite among them."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_jsonable(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_jsonable(item) for key, item in value.items()}
    if hasattr(value, "_asdict"):
        return to_jsonable(value._asdict())
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    return [to_jsonable(item) for item in value] if isinstance(value, list | tuple) else value


@dataclasses.dataclass(frozen=True)
class PerformanceProfiles:
    """Profiles over the workloads of which every arm has final runs.

    **Attributes:**

    - `workloads`: their names, two or more.
    - `error`: by the mean error rate, which is one minus the score.
    - `steps`: by the median number of steps to each target on each of the workloads; `None` without targets.
    """

    workloads: Sequence[str]
    error: Profile
    steps: Profile | None


def across(workloads: Sequence[WorkloadFigures], arms: Sequence[str]) -> PerformanceProfiles | None:
    """Returns the profiles, `None` where there are not two workloads of which every arm has final runs."""
    whole = [workload for workload in workloads if len(workload.arms) == len(arms)]
    if len(whole) < 2:
        return None
    return PerformanceProfiles([workload.name for workload in whole], _error(whole, arms), _steps(whole, arms))


def _error(workloads: Sequence[WorkloadFigures], arms: Sequence[str]) -> Profile:
    # An accuracy of 1 would make any other infinitely worse.
    return performance_profile({a: [max(1 - w.arm(a).mean.value, 1e-9) for w in workloads] for a in arms})


def _steps(workloads: Sequence[WorkloadFigures], arms: Sequence[str]) -> Profile | None:
    costs = {
        arm: [
            found.steps.median for w in workloads for target in w.targets for found in target.arms if found.arm == arm
        ]
        for arm in arms
    }
    return performance_profile(costs) if any(costs.values()) else None
