"""How the arms do over several workloads: performance profiles."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from fmnist_jax.compare.analysis.workload import WorkloadFigures
from fmnist_jax.compare.statistics.profiles import Profile, performance_profile


@dataclasses.dataclass(frozen=True)
class Across:
    """Profiles over the workloads of which every arm has final runs.

    **Attributes:**

    - `workloads`: their names, two or more.
    - `error`: by the mean error rate, which is one minus the score.
    - `steps`: by the median number of steps to each target on each of the workloads; `None` without targets.
    """

    workloads: Sequence[str]
    error: Profile
    steps: Profile | None


def across(workloads: Sequence[WorkloadFigures], arms: Sequence[str]) -> Across | None:
    """Returns the profiles, `None` where there are not two workloads of which every arm has final runs."""
    whole = [workload for workload in workloads if len(workload.arms) == len(arms)]
    if len(whole) < 2:
        return None
    return Across([workload.name for workload in whole], _error(whole, arms), _steps(whole, arms))


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
