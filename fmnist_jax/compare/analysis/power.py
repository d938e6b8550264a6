"""What a study of so many seeds can find, in terms of the pair of arms whose differences scatter in the median."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping

from fmnist_jax.compare.statistics.comparison import Comparison
from fmnist_jax.compare.statistics.estimates import Estimate
from fmnist_jax.compare.statistics.permutation import smallest_p
from fmnist_jax.compare.statistics.power import seeds_needed

SMALL, LARGE = 0.001, 0.002  # a tenth and two tenths of a point of accuracy


@dataclasses.dataclass(frozen=True)
class Power:
    """What the test can find at the level of the verdict, which is over all pairs.

    **Attributes:**

    - `deviation`: the standard deviation of the differences over seeds, of the pair for which it is the median.
    - `detectable`: the true difference of such a pair that is found four times of five.
    - `seeds_for`: a difference -> the seeds with which it would be found as often.
    - `smallest_p`: the smallest p-value that the test can give for a single pair.
    """

    deviation: float
    detectable: Estimate
    seeds_for: Mapping[float, int]
    smallest_p: float


def power(comparison: Comparison) -> Power | None:
    """Returns what the seeds of the comparison can find, `None` for a single seed, which tells nothing of scatter."""
    if len(comparison.seeds) < 2:
        return None
    # A pair with a run that failed, whose detectable difference is infinite, comes last.
    by_deviation = sorted(comparison.pairs, key=lambda pair: (pair.detectable.value == math.inf, pair.deviation))
    typical = by_deviation[(len(by_deviation) - 1) // 2]
    alpha = comparison.alpha / len(comparison.pairs)
    return Power(
        typical.deviation,
        typical.detectable,
        {size: seeds_needed(typical.deviation, size, alpha) for size in (SMALL, LARGE)},
        smallest_p(len(comparison.seeds)),
    )
