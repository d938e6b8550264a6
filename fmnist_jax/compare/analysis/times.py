"""Steps and training seconds that an arm's final runs took to the study's target accuracies."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from fmnist_jax.compare.analysis.study import ArmRuns
from fmnist_jax.compare.records import TrainedRun
from fmnist_jax.compare.statistics.estimates import Estimate
from fmnist_jax.compare.statistics.survival import (
    ReachedCurve,
    Times,
    as_times,
    kaplan_meier,
    median_time,
    restricted_mean,
    time_to_target,
)


@dataclasses.dataclass(frozen=True)
class Reached:
    """When the runs of an arm reached a target, in one unit.

    **Attributes:**

    - `curve`: the share of runs that had, by time.
    - `median`: when half of them had, infinite where they do not.
    - `restricted_mean`: the mean of the time to the target or to the `horizon`, whichever comes first.
    """

    curve: ReachedCurve
    median: float
    restricted_mean: Estimate


@dataclasses.dataclass(frozen=True)
class ArmAtTarget:
    """How many of an arm's `runs` `reached` a target, and when: in `steps` and in `seconds` of training."""

    arm: str
    runs: int
    reached: int
    steps: Reached
    seconds: Reached


@dataclasses.dataclass(frozen=True)
class TargetFigures:
    """A target, and when each arm reached it, the soonest first; the horizons are the shortest budget of any run."""

    target: float
    horizon_steps: float
    horizon_seconds: float
    arms: Sequence[ArmAtTarget]


_Clock = Callable[[TrainedRun], np.ndarray]  # when each of a member's evaluations was


def target_figures(cells: Sequence[ArmRuns], epochs: int, target: float, level: float) -> TargetFigures:
    """Returns the figures of a target for the cells, each with final runs, of one workload of so many `epochs`."""
    steps, seconds = (
        min(_budget(clock(member), epochs) for cell in cells for member in cell.finals) for clock in (_steps, _seconds)
    )
    arms = []
    for cell in cells:
        runs = [_times(cell.finals, clock, epochs, target) for clock in (_steps, _seconds)]
        reached = _reached(runs[0], steps, level), _reached(runs[1], seconds, level)
        arms.append(ArmAtTarget(cell.arm, len(cell.finals), int(runs[0].reached.sum()), *reached))
    arms.sort(key=lambda found: found.steps.restricted_mean.value)
    return TargetFigures(target, steps, seconds, arms)


def _times(members: Sequence[TrainedRun], clock: _Clock, epochs: int, target: float) -> Times:
    found = [time_to_target(clock(member), member.curve("val_accuracy"), target) for member in members]
    # A run that diverged would not have reached it by the end of its budget either.
    times = [
        time if reached else _budget(clock(member), epochs)
        for member, (time, reached) in zip(members, found, strict=True)
    ]
    return as_times(times, [reached for _, reached in found])


def _reached(runs: Times, horizon: float, level: float) -> Reached:
    return Reached(kaplan_meier(runs, level), median_time(runs), restricted_mean(runs, horizon, level))


def _steps(member: TrainedRun) -> np.ndarray:
    return member.curve("step")


def _seconds(member: TrainedRun) -> np.ndarray:
    """Of training alone: the clock stands still while a run is evaluated."""
    return np.cumsum(member.curve("train_seconds"))


def _budget(clock: np.ndarray, epochs: int) -> float:
    """When the budget ends, for a run that diverged at the pace that it had."""
    return float(clock[-1] * epochs / len(clock))
