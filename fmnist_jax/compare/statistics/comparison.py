"""A family of arms on the same seeds, compared pair by pair, with a verdict that errs at the nominal rate over all."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from fmnist_jax.compare.statistics.estimates import Estimate
from fmnist_jax.compare.statistics.multiplicity import holm
from fmnist_jax.compare.statistics.pairs import aligned, common_seeds, paired_difference
from fmnist_jax.compare.statistics.permutation import least_pairs, sign_flip_test, smallest_p
from fmnist_jax.compare.statistics.power import minimum_detectable_difference
from fmnist_jax.compare.statistics.samples import LEVEL, check_share
from fmnist_jax.compare.statistics.superiority import paired_probability_of_improvement, probability_of_improvement
from fmnist_jax.compare.statistics.verdict import Verdict, judge


class PairedComparison(NamedTuple):
    """Arm `a` against arm `b`, of which `a` has the higher mean (or an equal one).

    **Attributes:**

    - `difference`: the mean of a - b over seeds; its interval is of this pair alone, not adjusted for the others.
    - `improvement`: P(A > B) over all pairs of their runs; `paired_improvement`: on the same seed.
    - `p_value`: of the permutation test; `adjusted_p`: after Holm's correction over all pairs.
    - `significant`: whether `adjusted_p` is at most alpha.
    - `deviation`: the standard deviation of the differences; `nan` for a single seed.
    - `detectable`: the minimum detectable difference at `alpha / pairs`, power 0.8.
    """

    a: str
    b: str
    difference: Estimate
    improvement: Estimate
    paired_improvement: Estimate
    p_value: float
    adjusted_p: float
    significant: bool
    deviation: float
    detectable: Estimate


class Comparison(NamedTuple):
    """All pairs of a family of arms.

    **Attributes:**

    - `arms`: by their mean score, best first.
    - `seeds`: those that all arms have.
    - `pairs`: every pair once, in the order of `arms`.
    - `verdict`: from the significant pairs.
    - `alpha`: the chance of one or more false differences in the verdict, at most.
    - `smallest_p`: the smallest adjusted p-value that so few seeds can give; above alpha the verdict could not have
      been another. `least_seeds`: how many it takes.
    """

    arms: tuple[str, ...]
    seeds: tuple[int, ...]
    pairs: tuple[PairedComparison, ...]
    verdict: Verdict
    alpha: float
    smallest_p: float
    least_seeds: int

    @property
    def conclusive(self) -> bool:
        """Whether there are seeds enough for any difference to be found."""
        return self.smallest_p <= self.alpha

    def pair(self, a: str, b: str) -> PairedComparison:
        """Returns the comparison of the two arms, named in either order; raises `KeyError` where there is none."""
        return {frozenset((pair.a, pair.b)): pair for pair in self.pairs}[frozenset((a, b))]


def compare_arms(scores: Mapping[str, Mapping[int, float]], level: float = LEVEL) -> Comparison:
    """Compares two or more arms, given each arm's score by seed; higher is better, failures included as the caller
    counts them. What only some arms have a score for is left out.

    `level` is that of every interval, and 1 - `level` the verdict's alpha.

    **Raises:** `ValueError` for fewer than two arms, without a common seed, or where a score is not finite.
    """
    if len(scores) < 2:
        raise ValueError(f"a comparison takes two or more arms, not {len(scores)}")
    check_share("level", level)
    samples = aligned(scores)
    arms = sorted(samples, key=lambda arm: -samples[arm].mean())
    couples = list(itertools.combinations(arms, 2))
    alpha = _alpha(level)
    p_values = [sign_flip_test(samples[a] - samples[b]) for a, b in couples]
    pairs = tuple(
        _pair(a, b, samples, (p, adjusted), level, len(couples))
        for (a, b), p, adjusted in zip(couples, p_values, holm(p_values).tolist(), strict=True)
    )
    seeds = common_seeds(scores)
    return Comparison(
        tuple(arms),
        seeds,
        pairs,
        judge(arms, {(pair.a, pair.b) for pair in pairs if pair.significant}),
        alpha,
        min(1.0, len(couples) * smallest_p(len(seeds))),
        least_pairs(alpha / len(couples)),
    )


def _pair(
    a: str, b: str, samples: Mapping[str, np.ndarray], p_values: tuple[float, float], level: float, pairs: int
) -> PairedComparison:
    first, second = samples[a], samples[b]
    differences, alpha = first - second, _alpha(level)
    p_value, adjusted = p_values
    return PairedComparison(
        a,
        b,
        paired_difference(first, second, level),
        probability_of_improvement(first, second, level),
        paired_probability_of_improvement(first, second, level),
        p_value,
        adjusted,
        adjusted <= alpha,
        float(differences.std(ddof=1)) if len(differences) > 1 else math.nan,
        minimum_detectable_difference(differences, alpha=alpha / pairs, level=level),
    )


def _alpha(level: float) -> float:
    """The level's complement without its rounding: 1 - 0.95 is above 0.05."""
    return round(1 - level, 12)
