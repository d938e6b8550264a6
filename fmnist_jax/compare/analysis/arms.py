"""The figures of each arm of a workload: its final runs over seeds, and the trials that tuned it."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from fmnist_jax.compare.analysis.study import ArmRuns, Study
from fmnist_jax.compare.analysis.times import Cost
from fmnist_jax.compare.planned import SearchRange
from fmnist_jax.compare.records import RunEpoch
from fmnist_jax.compare.statistics import estimates, tuning
from fmnist_jax.compare.statistics.estimates import Estimate, sampling_uncertainty
from fmnist_jax.compare.trials import Trial, winner

RATE = "learning_rate"


class ArmFigures(NamedTuple):
    """The final runs of an arm.

    **Attributes:**

    - `seeds`, `scores`: of each run, in the same order; a diverged run has the score of chance.
    - `failures`: how many diverged; `failed_seeds`: which.
    - `mean`, `median`, `iqm`: of the scores; `mean` has no interval where a run failed, since none would be valid.
    - `deviation`: sample standard deviation of the scores, NaN for one run.
    - `validation`: mean of the validation accuracies, like `mean`.
    - `sampling`: the mean with the uncertainty from the finite set of images, not from the seeds; `None` where their
      number is not on record.
    - `train_loss`, `metrics` by name: means over the runs that did not diverge, NaN where there is none.
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
    metrics: Mapping[str, float]
    hyperparameters: Mapping[str, float | str]
    cost: Cost

    @property
    def scores_by_seed(self) -> dict[int, float]:
        return dict(zip(self.seeds, self.scores, strict=True))


def arm_figures(arm: ArmRuns, study: Study, dataset: str, cost: Cost) -> ArmFigures:
    """Returns the figures of an arm that has final runs, on a workload's data set."""
    level, runs, examples = study.design.confidence, arm.finals, study.scored_examples(dataset)
    scores = [run.final_test_accuracy if study.design.score_test else run.final_val_accuracy for run in runs]
    kept = [run.last for run in runs if not run.diverged]
    failed = [run.seed for run in runs if run.diverged]
    return ArmFigures(
        arm=arm.arm,
        seeds=[run.seed for run in runs],
        scores=scores,
        failures=len(failed),
        failed_seeds=failed,
        mean=_mean(scores, level, bool(failed)),
        median=estimates.median(scores, level),
        iqm=estimates.iqm(scores, level),
        deviation=statistics.stdev(scores) if len(scores) > 1 else math.nan,
        validation=_mean([run.final_val_accuracy for run in runs], level, bool(failed)),
        sampling=sampling_uncertainty(statistics.fmean(scores), examples, level) if examples else None,
        train_loss=_mean_or_nan([epoch.train_loss for epoch in kept]),
        metrics={name: _mean_or_nan([_metric(epoch, name) for epoch in kept]) for name in study.metrics},
        hyperparameters=runs[0].last.settings,
        cost=cost,
    )


def _metric(epoch: RunEpoch, name: str) -> float:
    value = epoch.metrics.get(name)
    return math.nan if value is None else value


def _mean_or_nan(values: Sequence[float]) -> float:
    return statistics.fmean(values) if values else math.nan


def _mean(scores: Sequence[float], level: float, failed: bool) -> Estimate:
    if failed:
        return estimates.without_interval(statistics.fmean(scores), level)
    return estimates.mean(scores, level)


class TuningFigures(NamedTuple):
    """The trials of an arm, each scored by its validation accuracy; a diverged run has that of chance.

    **Attributes:**

    - `trials`, `failures`: how many there are, and how many of them have a run that diverged.
    - `defaults`: the score of trial 0, `None` where it has not been trained to the end.
    - `best_trial`, `best`, `hyperparameters`: number, score and settings of the best trial.
    - `edges`: those settings that are near a bound of their range.
    - `curve`: the expected best score by number of trials, of which the first is trial 0; `None` where some were
      stopped early, since scores after different budgets do not compare.
    - `sensitivity`: to the learning rate, `None` there too, and where it was not searched.
    """

    arm: str
    trials: int
    failures: int
    defaults: float | None
    best_trial: int
    best: float
    hyperparameters: Mapping[str, float | str]
    edges: Sequence[tuning.AtEdge]
    curve: tuning.TuningCurve | None
    sensitivity: tuning.Sensitivity | None


def tuning_figures(arm: ArmRuns, ranges: Mapping[str, SearchRange], level: float) -> TuningFigures:
    """Returns the figures of an arm that has trials."""
    trials, best = arm.trials, winner(arm.tuning)
    equal = len({trial.budget for trial in trials}) == 1
    scores = {trial.number: trial.score for trial in trials if trial.budget == best.budget}
    searched = [score for trial, score in scores.items() if trial != 0]
    return TuningFigures(
        arm=arm.arm,
        trials=len(trials),
        failures=sum(trial.diverged for trial in trials),
        defaults=scores.get(0),
        best_trial=best.number,
        best=best.score,
        hyperparameters=best.settings,
        edges=() if best.diverged else tuning.at_edges(best.hyperparameters, ranges),
        curve=_curve(searched, scores.get(0), level) if equal else None,
        sensitivity=_sensitivity(trials, ranges.get(RATE)) if equal else None,
    )


def _curve(searched: Sequence[float], defaults: float | None, level: float) -> tuning.TuningCurve:
    if not searched and defaults is not None:
        return tuning.expected_best([defaults], None, level)
    return tuning.expected_best(searched, defaults, level)


def _sensitivity(trials: Sequence[Trial], searched: SearchRange | None) -> tuning.Sensitivity | None:
    rates = [trial.hyperparameters.get(RATE, 0.0) for trial in trials]
    if min(rates) <= 0 or min(rates) == max(rates):
        return None
    # The defaults, which are a trial too, may lie outside the search range.
    low = min(*rates, searched.low) if searched else min(rates)
    high = max(*rates, searched.high) if searched else max(rates)
    return tuning.learning_rate_sensitivity(rates, [trial.score for trial in trials], low, high)
