"""What a study of so many seeds can find, and how many seeds it takes to find a given difference."""

from __future__ import annotations

import bisect
import math
from collections.abc import Iterable

from scipy import optimize, stats

from fmnist_jax.compare.statistics.estimates import Estimate, without_interval
from fmnist_jax.compare.statistics.intervals import t_quantile
from fmnist_jax.compare.statistics.permutation import least_pairs
from fmnist_jax.compare.statistics.samples import LEVEL, as_sample, check_share

POWER = 0.8


def power_of(difference: float, deviation: float, n: int, alpha: float) -> float:
    """Returns how often the paired t-test at `alpha` finds a true mean difference from n pairs, n > 1.

    `deviation` is the standard deviation of the differences, over 0. From the noncentral t, by its square's noncentral
    F: that has both tails in one, and scipy knows it where it loses the lower tail of the noncentral t.
    """
    noncentrality = n * (difference / deviation) ** 2
    if noncentrality == 0:
        return alpha
    return float(stats.ncf.sf(t_quantile(1 - alpha, n - 1) ** 2, 1, n - 1, noncentrality))


def detectable(n: int, alpha: float = 1 - LEVEL, power: float = POWER) -> float:
    """Returns the difference, in standard deviations of the differences, that n pairs find with this power, n > 1."""
    highest = 1.0
    while power_of(highest, 1.0, n, alpha) < power:
        highest *= 2
    return float(optimize.brentq(lambda found: power_of(found, 1.0, n, alpha) - power, 0.0, highest, xtol=1e-12))


def minimum_detectable_difference(
    differences: Iterable[float], alpha: float = 1 - LEVEL, power: float = POWER, level: float = LEVEL
) -> Estimate:
    """Returns the true mean difference that as many seeds find with this power, given how the differences scatter.

    Of the paired t-test, from the noncentral t; the permutation test, in whose terms the verdict is, comes near it from
    about ten seeds on, and below `permutation.least_pairs(alpha)` finds nothing at all. The interval, by chi square
    for normal noise, is wide: few seeds tell little of the scatter. For a family of m pairs give `alpha / m`.

    **Raises:** `ValueError` where there is no difference or one is not finite.
    """
    sample = as_sample(differences)
    _check(alpha, power)
    check_share("level", level)
    n = len(sample)
    if n == 1:
        return without_interval(math.inf, level)
    value = detectable(n, alpha, power) * sample.std(ddof=1)
    tail = (1 - level) / 2
    low, high = (value * math.sqrt((n - 1) / quantile(tail, n - 1)) for quantile in (stats.chi2.isf, stats.chi2.ppf))
    return Estimate(float(value), float(low), float(high), level, "noncentral-t")


def seeds_needed(deviation: float, difference: float, alpha: float = 1 - LEVEL, power: float = POWER) -> int:
    """Returns the fewest pairs of runs that find a true mean `difference` with this power.

    `deviation` is the standard deviation of the differences, in the same unit. By the paired t-test, yet never fewer
    than the permutation test needs to reject at all.

    **Raises:** `ValueError` unless the difference is over 0 and the deviation finite and not below 0.
    """
    if not (0 < difference < math.inf and 0 <= deviation < math.inf):
        raise ValueError(f"a difference over 0 and a deviation are wanted, not {difference} and {deviation}")
    _check(alpha, power)
    low = least_pairs(alpha)
    if deviation == 0:
        return low
    high = low
    while power_of(difference, deviation, high, alpha) < power:
        low, high = high + 1, 2 * high
    enough = bisect.bisect_left(
        range(low, high), True, key=lambda n: power_of(difference, deviation, n, alpha) >= power
    )
    return low + enough


def _check(alpha: float, power: float) -> None:
    check_share("alpha", alpha)
    check_share("power", power)
    if power <= alpha:
        raise ValueError(f"a power is above alpha, {alpha:g}, which no difference at all has, not {power:g}")
