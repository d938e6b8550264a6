"""The figures of one workload: its arms, their comparison and its power, tuning, and times to the targets."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from fmnist_jax.compare.analysis.arms import ArmFigures, TuningFigures, arm_figures, tuning_figures
from fmnist_jax.compare.analysis.study import Study, WorkloadRuns
from fmnist_jax.compare.analysis.times import (
    ComparableSeconds,
    TargetFigures,
    arm_cost,
    comparable_seconds,
    target_figures,
)
from fmnist_jax.compare.statistics.comparison import (
    Comparison,
    aligned,
    compare_arms,
    paired_difference,
)
from fmnist_jax.compare.statistics.estimates import Estimate, without_interval
from fmnist_jax.compare.statistics.hypothesis_tests import seeds_needed, smallest_p

_EFFECTS = (0.001, 0.002)  # differences of accuracy, 0.1 and 0.2 points, for which the seeds needed are shown


class Missing(NamedTuple):
    """How many planned final and tuning runs of an arm have not been trained yet."""

    arm: str
    finals: int
    tuning: int


class Lead(NamedTuple):
    """Each arm of `group` beats the arm `loser`, by `difference`: of the mean of their scores, seed by seed.

    The difference has no interval where one of the runs failed.
    """

    group: Sequence[str]
    loser: str
    difference: Estimate


class Power(NamedTuple):
    """What the test can detect, at the significance level that it has after adjustment for all pairs.

    **Attributes:**

    - `deviation`: the standard deviation of the differences over seeds, of the pair for which it is the median.
    - `minimum_detectable_effect`: the true difference of such a pair that is detected with 80 % power.
    - `seeds_for`: for a difference, the number of seeds with which it would be detected with 80 % power.
    - `smallest_p`: the smallest p-value that the test can give for a single pair.
    """

    deviation: float
    minimum_detectable_effect: Estimate
    seeds_for: Mapping[float, int]
    smallest_p: float


class WorkloadFigures(NamedTuple):
    """The figures of a workload.

    **Attributes:**

    - `dataset`: empty where the study has only one; `chance`: the accuracy of a guess, the score of a diverged run.
    - `arms`: those with final runs, by their mean, best first.
    - `chunk_size`: of the chunks on which their seconds are measured; `None` where the arms share none, so that seconds
      are not compared.
    - `comparison`: of all pairs of arms, and its `power`; `None` where there is nothing to compare. The difference to
      an arm with a diverged run has no interval.
    - `leads`: for each arm that is beaten, the best arms that beat it; where none of the best does, all that do.
    - `missing`: the arms of which not all runs have been trained.
    - `tuning`: in tuned mode, of the arms with trials, in the order of the config.
    - `targets`: ascending.
    """

    name: str
    model: str
    epochs: int
    schedule: str
    dataset: str
    chance: float
    arms: Sequence[ArmFigures]
    chunk_size: int | None
    comparison: Comparison | None
    power: Power | None
    leads: Sequence[Lead]
    missing: Sequence[Missing]
    tuning: Sequence[TuningFigures]
    targets: Sequence[TargetFigures]

    def arm(self, name: str) -> ArmFigures:
        """Returns the figures of the arm of that name."""
        return next(figures for figures in self.arms if figures.arm == name)


def workload_figures(workload: WorkloadRuns, study: Study) -> WorkloadFigures:
    """Returns the figures of a workload, as far as it has been trained."""
    design, level = study.design, study.design.confidence
    trained = [arm for arm in workload.arms if arm.finals]
    seconds = comparable_seconds(trained, study.chunks) if trained else ComparableSeconds(None, {})
    arms = [
        arm_figures(arm, study, workload.dataset, arm_cost(arm, seconds.runs[arm.arm], study.chunks)) for arm in trained
    ]
    arms.sort(key=lambda figures: -figures.mean.value)  # equal means stay in the order of the config
    comparison = _comparison(arms, level)
    missing = [
        Missing(a.arm, a.planned_finals - len(a.finals), a.planned_tuning - len(a.tuning)) for a in workload.arms
    ]
    return WorkloadFigures(
        name=workload.name,
        model=workload.model,
        epochs=workload.epochs,
        schedule=workload.schedule,
        dataset=workload.dataset,
        chance=workload.chance,
        arms=arms,
        chunk_size=seconds.chunk_size,
        comparison=comparison,
        power=power(comparison) if comparison else None,
        leads=_leads(arms, comparison) if comparison else [],
        missing=[each for each in missing if each.finals or each.tuning],
        tuning=[tuning_figures(a, study.spaces.get(a.arm, {}), level) for a in workload.arms if a.tuning],
        targets=[target_figures(trained, seconds, workload.epochs, t, level) for t in design.targets if trained],
    )


def _comparison(arms: Sequence[ArmFigures], level: float) -> Comparison | None:
    scores = {figures.arm: figures.scores_by_seed for figures in arms}
    if len(scores) < 2 or not set.intersection(*map(set, scores.values())):
        return None
    comparison = compare_arms(scores, level)
    failed = {figures.arm for figures in arms if figures.failures}
    pairs = list(comparison.pairs)
    for i, pair in enumerate(pairs):
        # No interval of a mean with a failed run is valid; the permutation test is.
        if failed & {pair.a, pair.b}:
            effect = without_interval(math.inf, pair.minimum_detectable_effect.level)
            mean = without_interval(pair.difference.value, pair.difference.level)
            pairs[i] = pair._replace(difference=mean, minimum_detectable_effect=effect)
    return comparison._replace(pairs=tuple(pairs))


def _leads(arms: Sequence[ArmFigures], comparison: Comparison) -> list[Lead]:
    rows = aligned({figures.arm: figures.scores_by_seed for figures in arms})
    failed = {figures.arm for figures in arms if figures.failures}
    leads = []
    for arm in comparison.arms:
        beating = [other for other in comparison.arms if arm in comparison.ordering.beats[other]]
        best = [other for other in comparison.ordering.best if other in beating] or beating
        # The mean of an arm with a failed run does not tell how far ahead the others are.
        if group := [other for other in best if other not in failed] or best:
            mean = np.mean([rows[other] for other in group], axis=0)
            difference = paired_difference(mean, rows[arm], comparison.pairs[0].difference.level)
            if failed & {arm, *group}:
                difference = without_interval(difference.value, difference.level)
            leads.append(Lead(group, arm, difference))
    return leads


def power(comparison: Comparison) -> Power | None:
    """Returns what the seeds of the comparison can detect; `None` for a single seed, which has no deviation."""
    if len(comparison.seeds) < 2:
        return None
    # Pairs with a failed run, whose minimum detectable effect is infinite, come last.
    by_deviation = sorted(comparison.pairs, key=lambda p: (p.minimum_detectable_effect.value == math.inf, p.deviation))
    typical = by_deviation[(len(by_deviation) - 1) // 2]
    alpha = comparison.alpha / len(comparison.pairs)
    return Power(
        typical.deviation,
        typical.minimum_detectable_effect,
        {effect: seeds_needed(typical.deviation, effect, alpha) for effect in _EFFECTS},
        smallest_p(len(comparison.seeds)),
    )
