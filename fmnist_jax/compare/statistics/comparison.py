"""Compares arms trained on the same seeds, pair by pair, with the family-wise error rate controlled over all pairs."""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from fmnist_jax.compare.statistics import hypothesis_tests
from fmnist_jax.compare.statistics.estimates import LEVEL, Estimate, as_pairs, as_sample, check_fraction, mean
from fmnist_jax.compare.statistics.probability_of_improvement import probability_of_improvement


class SignificantOrdering(NamedTuple):
    """Which arms differ significantly. Arms are in the order of their mean scores, best first.

    **Attributes:**

    - `best`: the arms that no other beats; none of them beats another.
    - `groups`: every maximal set of arms without a significant difference, the best arms' first. Groups may overlap,
      since "no significant difference" is not transitive.
    - `beats`: for each arm the arms that it beats.
    """

    best: tuple[str, ...]
    groups: tuple[tuple[str, ...], ...]
    beats: Mapping[str, tuple[str, ...]]


class PairedComparison(NamedTuple):
    """Arm `a` against arm `b`, where `a` has the higher mean or an equal one.

    **Attributes:**

    - `difference`: the mean of a - b over seeds; its interval is not adjusted for the number of pairs.
    - `improvement`: P(A > B) over all pairs of their runs.
    - `p_value`: of the paired permutation test; `adjusted_p`: Holm-adjusted over all pairs.
    - `significant`: whether `adjusted_p` is at most alpha.
    - `deviation`: the standard deviation of the differences; NaN for a single seed.
    - `minimum_detectable_effect`: at `alpha / pairs` and 80 % power.
    """

    a: str
    b: str
    difference: Estimate
    improvement: Estimate
    p_value: float
    adjusted_p: float
    significant: bool
    deviation: float
    minimum_detectable_effect: Estimate


class Comparison(NamedTuple):
    """All pairs of a family of arms.

    **Attributes:**

    - `arms`: by mean score, best first.
    - `seeds`: those that all arms have.
    - `pairs`: every pair once, in the order of `arms`.
    - `ordering`: from the significant pairs.
    - `alpha`: the family-wise error rate: the chance of one or more false differences is at most this.
    - `smallest_p`: the smallest adjusted p-value that these seeds can give; above alpha, no pair can be significant.
    - `min_seeds`: the smallest number of seeds with which a pair can be significant.
    """

    arms: tuple[str, ...]
    seeds: tuple[int, ...]
    pairs: tuple[PairedComparison, ...]
    ordering: SignificantOrdering
    alpha: float
    smallest_p: float
    min_seeds: int

    @property
    def conclusive(self) -> bool:
        """Whether there are enough seeds for any difference to be significant."""
        return self.smallest_p <= self.alpha

    def pair(self, a: str, b: str) -> PairedComparison:
        """Returns the comparison of two arms, named in either order; raises `KeyError` for an unknown pair."""
        return {frozenset((pair.a, pair.b)): pair for pair in self.pairs}[frozenset((a, b))]


def compare_arms(scores: Mapping[str, Mapping[int, float]], level: float = LEVEL) -> Comparison:
    """Compares two or more arms, from each arm's scores by seed, on the seeds that all of them have.

    `level` is that of every interval; alpha is 1 - `level`.

    **Raises:** `ValueError` for fewer than two arms, no common seed, or a score that is not finite.
    """
    if len(scores) < 2:
        raise ValueError(f"a comparison needs two or more arms, not {len(scores)}")
    check_fraction("level", level)
    alpha = round(1 - level, 12)  # without its rounding error: 1 - 0.95 is above 0.05
    samples = dict(sorted(aligned(scores).items(), key=lambda item: -item[1].mean()))
    arms, seeds, pairs = tuple(samples), common_seeds(scores), _compare_pairs(samples, alpha, level)
    return Comparison(
        arms,
        seeds,
        pairs,
        significant_ordering(arms, {(pair.a, pair.b) for pair in pairs if pair.significant}),
        alpha,
        min(1.0, len(pairs) * hypothesis_tests.smallest_p(len(seeds))),
        hypothesis_tests.min_pairs(alpha / len(pairs)),
    )


def _compare_pairs(samples: Mapping[str, np.ndarray], alpha: float, level: float) -> tuple[PairedComparison, ...]:
    couples = list(itertools.combinations(samples.items(), 2))
    p_values = [hypothesis_tests.permutation_test(first - second) for (_, first), (_, second) in couples]
    adjusted_ps = hypothesis_tests.holm(p_values).tolist()
    pairs = []
    for ((a, first), (b, second)), p_value, adjusted_p in zip(couples, p_values, adjusted_ps, strict=True):
        differences = first - second
        pair = PairedComparison(
            a,
            b,
            mean(differences, level),
            probability_of_improvement(first, second, level),
            p_value,
            adjusted_p,
            adjusted_p <= alpha,
            float(differences.std(ddof=1)) if len(differences) > 1 else math.nan,
            hypothesis_tests.minimum_detectable_effect(differences, alpha=alpha / len(couples), level=level),
        )
        pairs.append(pair)
    return tuple(pairs)


def paired_difference(a: Iterable[float], b: Iterable[float], level: float = LEVEL) -> Estimate:
    """Returns the mean of `a[i] - b[i]` over seeds i, with Student's t interval.

    Effects of a seed (initialisation, data order) that both arms share cancel.

    **Raises:** `ValueError` for samples of different lengths, no value, or one that is not finite.
    """
    first, second = as_pairs(a, b)
    return mean(first - second, level)


def common_seeds(arms: Mapping[str, Mapping[int, float]]) -> tuple[int, ...]:
    """Returns the seeds for which every arm has a score, ascending; `arms` maps an arm to its scores by seed.

    **Raises:** `ValueError` for no common seed.
    """
    seeds = sorted(set.intersection(*(set(scores) for scores in arms.values()))) if arms else []
    if not seeds:
        raise ValueError(f"the arms have no seed in common: {', '.join(arms)}")
    return tuple(seeds)


def aligned(arms: Mapping[str, Mapping[int, float]]) -> dict[str, np.ndarray]:
    """Returns each arm's scores on the common seeds, `(seeds,)`, ordered by seed.

    **Raises:** `ValueError` for no common seed or a score that is not finite.
    """
    seeds = common_seeds(arms)
    return {arm: as_sample(scores[seed] for seed in seeds) for arm, scores in arms.items()}


def significant_ordering(arms: Sequence[str], beats: Collection[tuple[str, str]]) -> SignificantOrdering:
    """Returns the ordering of arms, given best first, from the pairs `(winner, loser)` that differ significantly.

    **Raises:** `ValueError` for a pair whose winner does not precede its loser.
    """
    rank = {arm: place for place, arm in enumerate(arms)}
    for winner, loser in beats:
        if not rank.get(winner, len(arms)) < rank.get(loser, -1):
            raise ValueError(f"{winner} cannot beat {loser}: the arms in order are {', '.join(arms)}")
    losers = {loser for _, loser in beats}
    undecided = {
        arm: {other for other in arms if other != arm and not {(arm, other), (other, arm)} & {*beats}} for arm in arms
    }
    groups = sorted(sorted(rank[arm] for arm in group) for group in _cliques(set(), set(arms), set(), undecided))
    return SignificantOrdering(
        tuple(arm for arm in arms if arm not in losers),
        tuple(tuple(arms[place] for place in group) for group in groups),
        {arm: tuple(other for other in arms if (arm, other) in beats) for arm in arms},
    )


def _cliques(
    chosen: set[str], candidates: set[str], done: set[str], neighbours: Mapping[str, set[str]]
) -> Iterator[set[str]]:
    """Yields every maximal clique of the graph (Bron & Kerbosch 1973)."""
    if not candidates and not done:
        yield chosen
    for arm in sorted(candidates):
        yield from _cliques(chosen | {arm}, candidates & neighbours[arm], done & neighbours[arm], neighbours)
        candidates, done = candidates - {arm}, done | {arm}
