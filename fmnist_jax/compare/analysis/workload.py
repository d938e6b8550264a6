"""Everything that the report says of one workload."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np

from fmnist_jax.compare.analysis.arms import ArmFigures, TuningFigures, arm_figures, tuning_figures
from fmnist_jax.compare.analysis.study import ArmRuns, Study, WorkloadRuns
from fmnist_jax.compare.analysis.times import (
    ComparableSeconds,
    TargetFigures,
    arm_cost,
    comparable_seconds,
    target_figures,
)
from fmnist_jax.compare.statistics.comparison import (
    Comparison,
    PairedComparison,
    aligned,
    compare_arms,
    paired_difference,
)
from fmnist_jax.compare.statistics.estimates import Estimate, without_interval
from fmnist_jax.compare.statistics.hypothesis_tests import seeds_needed, smallest_p


@dataclasses.dataclass(frozen=True)
class Missing:
    """Final runs and tuning trials of an arm that were planned and are not there yet."""

    arm: str
    finals: int
    trials: int


@dataclasses.dataclass(frozen=True)
class Lead:
    """That each arm of `group` beats the arm `loser`, and by how much the mean of their scores lies above its.

    The difference is seed by seed, without an interval where one of the runs failed.
    """

    group: Sequence[str]
    loser: str
    difference: Estimate


@dataclasses.dataclass(frozen=True)
class WorkloadFigures:
    """The figures of a workload.

    **Attributes:**

    - `arms`: those with final runs, of the highest mean first.
    - `chunk_size`: of the chunks on which their seconds are measured; `None` where they share none, so that seconds are
      not compared.
    - `comparison`: of all pairs of them, and `power`, what it can find; `None` where there is nothing to compare. The
      difference to an arm of which a run diverged has no interval.
    - `leads`: over each arm that is beaten, those of the best arms that beat it; where none does, whichever arms do.
    - `missing`: the arms of which something is not there yet.
    - `tuning`: in tuned mode, of the arms with trials, in the order of the config.
    - `targets`: ascending.
    """

    name: str
    model: str
    epochs: int
    schedule: str
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
    trained = [cell for cell in workload.arms if cell.finals]
    # Of equal means in the order of the config, as in the comparison.
    seconds = comparable_seconds(trained, study.chunks) if trained else ComparableSeconds(None, {})
    costs = {cell.arm: arm_cost(cell, seconds.runs[cell.arm], study.chunks) for cell in trained}
    arms = sorted((arm_figures(cell, study, costs[cell.arm]) for cell in trained), key=lambda found: -found.mean.value)
    comparison = _comparison(arms, level)
    return WorkloadFigures(
        name=workload.name,
        model=workload.model,
        epochs=workload.epochs,
        schedule=workload.schedule,
        arms=arms,
        chunk_size=seconds.chunk_size,
        comparison=comparison,
        power=power(comparison) if comparison else None,
        leads=_leads(arms, comparison) if comparison else [],
        missing=_missing(workload.arms),
        tuning=[tuning_figures(c, study.spaces.get(c.arm, {}), level) for c in workload.arms if c.trials],
        targets=[target_figures(trained, seconds, workload.epochs, t, level) for t in design.targets if trained],
    )


def _comparison(arms: Sequence[ArmFigures], level: float) -> Comparison | None:
    scores = {figures.arm: dict(zip(figures.seeds, figures.scores, strict=True)) for figures in arms}
    if len(scores) < 2 or not set.intersection(*map(set, scores.values())):
        return None
    comparison = compare_arms(scores, level)
    failed = {figures.arm for figures in arms if figures.failures}
    pairs = tuple(_without_interval(pair) if failed & {pair.a, pair.b} else pair for pair in comparison.pairs)
    return comparison._replace(pairs=pairs)


def _without_interval(pair: PairedComparison) -> PairedComparison:
    """Of means that a failed run took with it, no interval holds; the test does."""
    nothing = without_interval(math.inf, pair.minimum_detectable_effect.level)
    mean = without_interval(pair.difference.value, pair.difference.level)
    return pair._replace(difference=mean, minimum_detectable_effect=nothing)


def _leads(arms: Sequence[ArmFigures], comparison: Comparison) -> list[Lead]:
    rows = aligned({figures.arm: dict(zip(figures.seeds, figures.scores, strict=True)) for figures in arms})
    failed = {figures.arm for figures in arms if figures.failures}
    leads = []
    for arm in comparison.arms:
        beating = [other for other in comparison.arms if arm in comparison.ordering.beats[other]]
        best = [other for other in comparison.ordering.best if other in beating] or beating
        # Of an arm of which a run failed, the mean is no guide to how far ahead the others are.
        if group := [other for other in best if other not in failed] or best:
            mean = np.mean([rows[other] for other in group], axis=0)
            difference = paired_difference(mean, rows[arm], comparison.pairs[0].difference.level)
            if failed & {arm, *group}:
                difference = without_interval(difference.value, difference.level)
            leads.append(Lead(group, arm, difference))
    return leads


def _missing(cells: Sequence[ArmRuns]) -> list[Missing]:
    found = [Missing(c.arm, c.planned_finals - len(c.finals), c.planned_trials - len(c.trials)) for c in cells]
    return [missing for missing in found if missing.finals or missing.trials]


SMALL, LARGE = 0.001, 0.002  # a tenth and two tenths of a point of accuracy


@dataclasses.dataclass(frozen=True)
class Power:
    """What the test can find at the level of the verdict, which is over all pairs.

    **Attributes:**

    - `deviation`: the standard deviation of the differences over seeds, of the pair for which it is the median.
    - `minimum_detectable_effect`: the true difference of such a pair that is found four times of five.
    - `seeds_for`: a difference -> the seeds with which it would be found as often.
    - `smallest_p`: the smallest p-value that the test can give for a single pair.
    """

    deviation: float
    minimum_detectable_effect: Estimate
    seeds_for: Mapping[float, int]
    smallest_p: float


def power(comparison: Comparison) -> Power | None:
    """Returns what the seeds of the comparison can find, `None` for a single seed, which tells nothing of scatter."""
    if len(comparison.seeds) < 2:
        return None
    # A pair with a run that failed, whose detectable difference is infinite, comes last.
    by_deviation = sorted(
        comparison.pairs, key=lambda pair: (pair.minimum_detectable_effect.value == math.inf, pair.deviation)
    )
    typical = by_deviation[(len(by_deviation) - 1) // 2]
    alpha = comparison.alpha / len(comparison.pairs)
    return Power(
        typical.deviation,
        typical.minimum_detectable_effect,
        {size: seeds_needed(typical.deviation, size, alpha) for size in (SMALL, LARGE)},
        smallest_p(len(comparison.seeds)),
    )
