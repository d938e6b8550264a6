"""Training time: what the final runs of an arm cost, and the steps and seconds that they took to the target accuracies.

Seconds compare like with like. A run's recorded seconds are its chunk's wall time divided by the chunk's runs, which
depends on the chunk's size: on two cores a lone run takes as long as two side by side, and would look twice as slow. So
seconds are measured on chunks of one size alone, the largest that all arms of the workload share on the same device and
executor. The pace of an arm is the median of seconds per step over its runs in such chunks; its other runs get their
seconds as steps times that pace. Arms that share no chunk size have no seconds.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from fmnist_jax.compare.analysis.study import ArmRuns
from fmnist_jax.compare.records import ChunkTiming, TrainedRun
from fmnist_jax.compare.statistics import survival
from fmnist_jax.compare.statistics.estimates import Estimate


class RunSeconds(NamedTuple):
    """Seconds of a final run by the end of each epoch: `float64[epochs trained]`, ascending."""

    train: np.ndarray
    evaluation: np.ndarray


class ComparableSeconds(NamedTuple):
    """The seconds of each arm's final runs, in their order, measured on chunks of `chunk_size` runs.

    `chunk_size` is `None` where the arms share none; all seconds are then NaN.
    """

    chunk_size: int | None
    runs: Mapping[str, Sequence[RunSeconds]]


class Cost(NamedTuple):
    """What the final runs of an arm took: seconds and memory.

    **Attributes:**

    - `train`, `evaluation`: per run, the median over those that did not diverge; NaN where there is none.
    - `compilation`: of all their chunks together.
    - `step`: of training, like `train`.
    - `optimizer_state`: its memory relative to that of the parameters; NaN where it is not on record.
    """

    train: float
    evaluation: float
    compilation: float
    step: float
    optimizer_state: float


class Reached(NamedTuple):
    """When the runs of an arm reached a target, in one unit.

    **Attributes:**

    - `curve`: the share of runs that had, by time.
    - `median`: when half of them had, infinite where they do not.
    - `restricted_mean`: the mean of the time to the target or to the `horizon`, whichever comes first.
    """

    curve: survival.ReachedCurve
    median: float
    restricted_mean: Estimate


class ArmAtTarget(NamedTuple):
    """How many of an arm's `runs` `reached` a target, and when: in `steps` and in `seconds` of training.

    `seconds` is `None` where the seconds of the arms are not comparable.
    """

    arm: str
    runs: int
    reached: int
    steps: Reached
    seconds: Reached | None


class TargetFigures(NamedTuple):
    """A target, and when each arm reached it, the soonest first.

    The horizons are the shortest budget of any run, NaN where seconds are not comparable.
    """

    target: float
    horizon_steps: float
    horizon_seconds: float
    arms: Sequence[ArmAtTarget]


def comparable_seconds(arms: Sequence[ArmRuns], timings: Mapping[int, ChunkTiming]) -> ComparableSeconds:
    """Returns the seconds of the final runs of a workload's arms, each of which has some; see the module's docstring.

    **Arguments:**

    - `timings`: of the chunks, by number.
    """
    shared = set.intersection(*({_conditions(run, timings) for run in arm.finals} for arm in arms))
    if not shared:
        nothing = {arm.arm: [_scaled(run, math.nan, math.nan) for run in arm.finals] for arm in arms}
        return ComparableSeconds(None, nothing)
    conditions = max(shared)
    runs = {}
    for arm in arms:
        measured = [run for run in arm.finals if _conditions(run, timings) == conditions]
        train, evaluation = _pace(measured, "train_seconds"), _pace(measured, "eval_seconds")
        runs[arm.arm] = [
            _measured(run) if _conditions(run, timings) == conditions else _scaled(run, train, evaluation)
            for run in arm.finals
        ]
    return ComparableSeconds(conditions[0], runs)


def _conditions(run: TrainedRun, timings: Mapping[int, ChunkTiming]) -> tuple[int, str, str]:
    timing = timings[run.last.chunk]
    return timing.members, timing.executor, timing.device


def _pace(runs: Sequence[TrainedRun], name: str) -> float:
    return statistics.median(float(run.curve(name).sum()) / run.last.step for run in runs)


def _measured(run: TrainedRun) -> RunSeconds:
    return RunSeconds(np.cumsum(run.curve("train_seconds")), np.cumsum(run.curve("eval_seconds")))


def _scaled(run: TrainedRun, train: float, evaluation: float) -> RunSeconds:
    return RunSeconds(run.curve("step") * train, run.curve("step") * evaluation)


def _median_or_nan(values: Sequence[float]) -> float:
    return statistics.median(values) if values else math.nan


def arm_cost(arm: ArmRuns, seconds: Sequence[RunSeconds], timings: Mapping[int, ChunkTiming]) -> Cost:
    """Returns the cost of an arm's final runs, whose `seconds` are in the same order."""
    kept = [(run, own) for run, own in zip(arm.finals, seconds, strict=True) if not run.diverged]
    chunk = timings[arm.finals[0].last.chunk]
    known = chunk.parameter_bytes and chunk.optimizer_bytes is not None
    return Cost(
        train=_median_or_nan([float(own.train[-1]) for _, own in kept]),
        evaluation=_median_or_nan([float(own.evaluation[-1]) for _, own in kept]),
        step=_median_or_nan([float(own.train[-1]) / run.last.step for run, own in kept]),
        optimizer_state=(chunk.optimizer_bytes or 0) / (chunk.parameter_bytes or 1) if known else math.nan,
        compilation=math.fsum(timings[chunk].compile_seconds for chunk in {run.last.chunk for run in arm.finals}),
    )


def target_figures(
    arms: Sequence[ArmRuns], seconds: ComparableSeconds, epochs: int, target: float, level: float
) -> TargetFigures:
    """Returns the figures of a target for the arms, each with final runs, of one workload of so many `epochs`."""
    horizon_steps, steps = _reached(
        arms, {arm.arm: [run.curve("step") for run in arm.finals] for arm in arms}, epochs, target, level
    )
    horizon_seconds, in_seconds = math.nan, dict[str, Reached]()
    if seconds.chunk_size is not None:
        clocks = {arm: [run.train for run in runs] for arm, runs in seconds.runs.items()}
        horizon_seconds, in_seconds = _reached(arms, clocks, epochs, target, level)
    found = [
        ArmAtTarget(
            arm.arm,
            len(arm.finals),
            sum(survival.time_to_target(run.curve("step"), run.curve("val_accuracy"), target)[1] for run in arm.finals),
            steps[arm.arm],
            in_seconds.get(arm.arm),
        )
        for arm in arms
    ]
    found.sort(key=lambda arm: arm.steps.restricted_mean.value)
    return TargetFigures(target, horizon_steps, horizon_seconds, found)


def _reached(
    arms: Sequence[ArmRuns], clocks: Mapping[str, Sequence[np.ndarray]], epochs: int, target: float, level: float
) -> tuple[float, dict[str, Reached]]:
    """Returns the horizon, and when each arm's runs reached the target.

    **Arguments:**

    - `clocks`: for each arm the times of its runs' evaluations, `float64[epochs trained]`.
    """
    horizon = min(_budget(clock, epochs) for own in clocks.values() for clock in own)
    found = {}
    for arm in arms:
        times, reached = [], []
        for run, clock in zip(arm.finals, clocks[arm.arm], strict=True):
            time, has_reached = survival.time_to_target(clock, run.curve("val_accuracy"), target)
            # A run that diverged is censored at the end of its budget, as one that missed the target.
            times.append(time if has_reached else _budget(clock, epochs))
            reached.append(has_reached)
        runs = survival.as_times(times, reached)
        mean = survival.restricted_mean(runs, horizon, level)
        found[arm.arm] = Reached(survival.kaplan_meier(runs, level), survival.median_time(runs), mean)
    return horizon, found


def _budget(clock: np.ndarray, epochs: int) -> float:
    """When the budget ends; for a run that diverged, at the pace that it had."""
    return float(clock[-1] * epochs / len(clock))
