"""The figures of each arm of a workload: the centre of its scores over seeds, failures, losses, time."""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Callable, Mapping, Sequence

from fmnist_jax.compare.analysis.study import ArmRuns, Design, Study
from fmnist_jax.compare.analysis.times import Cost
from fmnist_jax.compare.records import SearchRange, TrainedRun, winner
from fmnist_jax.compare.statistics import estimates
from fmnist_jax.compare.statistics.estimates import Estimate, sampling_uncertainty
from fmnist_jax.compare.statistics.tuning import (
    AtEdge,
    Sensitivity,
    TuningCurve,
    at_edges,
    expected_best,
    learning_rate_sensitivity,
)


@dataclasses.dataclass(frozen=True)
class ArmFigures:
    """The final runs of an arm.

    **Attributes:**

    - `seeds`, `scores`: of each run, in the same order; the score of one that diverged is that of chance.
    - `failures`: how many diverged; `failed_seeds`: which.
    - `mean`, `median`, `iqm`: of the scores; `mean` is without an interval where a run failed, since none would hold.
    - `deviation`: sample standard deviation of the scores, NaN for one run.
    - `validation`: mean of the validation accuracies, as `mean` of the scores.
    - `sampling`: the mean with the uncertainty that comes from the images it is scored on, not from the seeds; `None`
      where it is not on record how many these are.
    - `train_loss`: mean over the runs that did not diverge, NaN where there is none.
    - `hyperparameters`: those of its runs.
    """

    arm: str
    seeds: Sequence[int]
    scores: Sequence[float]
    failures: int
    failed_seeds: Sequence[int]
    mean: Estimate
    median: Estimate
    iqm: Estimate
    deviation: float
    validation: Estimate
    sampling: Estimate | None
    train_loss: float
    hyperparameters: Mapping[str, float]
    cost: Cost


def score_of(design: Design) -> Callable[[TrainedRun], float]:
    """Returns the function from a final run to its score: test accuracy where the study scores it, else validation."""
    if design.score_test:
        return lambda member: member.final_test_accuracy
    return lambda member: member.final_val_accuracy


def arm_figures(cell: ArmRuns, study: Study, cost: Cost) -> ArmFigures:
    """Returns the figures of an arm that has final runs."""
    level, members, examples = study.design.confidence, cell.finals, study.scored_examples
    scores = [score_of(study.design)(member) for member in members]
    kept = [member for member in members if not member.diverged]
    return ArmFigures(
        arm=cell.arm,
        seeds=[member.seed for member in members],
        scores=scores,
        failures=len(members) - len(kept),
        failed_seeds=[member.seed for member in members if member.diverged],
        mean=_mean(scores, level, failed=len(kept) < len(members)),
        median=estimates.median(scores, level),
        iqm=estimates.iqm(scores, level),
        deviation=statistics.stdev(scores) if len(scores) > 1 else math.nan,
        validation=_mean([m.final_val_accuracy for m in members], level, failed=len(kept) < len(members)),
        sampling=sampling_uncertainty(statistics.fmean(scores), examples, level) if examples else None,
        train_loss=_mean_or_nan([member.last.train_loss for member in kept]),
        hyperparameters=members[0].hyperparameters,
        cost=cost,
    )


def _mean(scores: Sequence[float], level: float, failed: bool) -> Estimate:
    if failed:
        return estimates.without_interval(statistics.fmean(scores), level)
    return estimates.mean(scores, level)


def _mean_or_nan(values: Sequence[float]) -> float:
    return statistics.fmean(values) if values else math.nan


RATE = "learning_rate"


@dataclasses.dataclass(frozen=True)
class TuningFigures:
    """The trials of an arm, each scored by its validation accuracy, that of chance where it diverged.

    **Attributes:**

    - `trials`, `failures`: how many there are, and how many of them diverged.
    - `defaults`: the score of trial 0, `None` where it is not there yet.
    - `best_trial`, `best`: number and score of the best trial; `hyperparameters` are its.
    - `edges`: those of them near the bound of their range.
    - `curve`: the expected best score by number of trials, of which the first is trial 0.
    - `sensitivity`: to the learning rate, `None` where it was not searched.
    """

    arm: str
    trials: int
    failures: int
    defaults: float | None
    best_trial: int
    best: float
    hyperparameters: Mapping[str, float]
    edges: Sequence[AtEdge]
    curve: TuningCurve
    sensitivity: Sensitivity | None


def tuning_figures(cell: ArmRuns, ranges: Mapping[str, SearchRange], level: float) -> TuningFigures:
    """Returns the figures of a cell that has trials."""
    best = winner(cell.trials)
    defaults = next((member.final_val_accuracy for member in cell.trials if member.trial == 0), None)
    return TuningFigures(
        arm=cell.arm,
        trials=len(cell.trials),
        failures=sum(member.diverged for member in cell.trials),
        defaults=defaults,
        best_trial=best.trial,
        best=best.final_val_accuracy,
        hyperparameters=best.hyperparameters,
        edges=() if best.diverged else at_edges(best.hyperparameters, ranges),
        curve=_curve(cell.trials, defaults, level),
        sensitivity=_sensitivity(cell.trials, ranges.get(RATE)),
    )


def _curve(trials: Sequence[TrainedRun], defaults: float | None, level: float) -> TuningCurve:
    searched = [member.final_val_accuracy for member in trials if member.trial != 0 or defaults is None]
    if not searched:
        return expected_best([member.final_val_accuracy for member in trials], level=level)
    return expected_best(searched, defaults, level)


def _sensitivity(trials: Sequence[TrainedRun], range_: SearchRange | None) -> Sensitivity | None:
    rates = [member.hyperparameters.get(RATE, 0.0) for member in trials]
    if min(rates) <= 0 or min(rates) == max(rates):
        return None
    # The defaults, which are a trial too, may lie outside what is searched.
    low = min(*rates, range_.low) if range_ else min(rates)
    high = max(*rates, range_.high) if range_ else max(rates)
    return learning_rate_sensitivity(rates, [member.final_val_accuracy for member in trials], low, high)
