"""The paired permutation test, the one-sided t-test, Holm's adjustment for many tests, and the power of a study."""

from __future__ import annotations

import bisect
import math
from collections.abc import Iterable

import numpy as np
from scipy import optimize, stats

from fmnist_jax.compare.statistics.estimates import LEVEL, Estimate, as_sample, check_fraction, without_interval

POWER = 0.8
# The test is exact, over all 2^n signs, up to EXACT_PAIRS differences; beyond, it draws RESAMPLES random signs.
EXACT_PAIRS = 30
RESAMPLES = 2**16 - 1
# Sums that differ by less than this share are equal up to rounding.
_ROUNDING = 1e-10


def permutation_test(differences: Iterable[float]) -> float:
    """Returns the two-sided p-value of the paired permutation test of the mean difference (Fisher 1935, section 21).

    Under the null hypothesis the two arms have the same distribution, so each difference is as likely of either sign.
    Exact whatever the noise, from all 2^n signs up to `EXACT_PAIRS` differences. Beyond, from `RESAMPLES` random draws
    with the observed signs counted in, so that p is never 0 (Phipson & Smyth 2010).

    **Raises:** `ValueError` for no difference or one that is not finite.
    """
    sample = as_sample(differences)
    if len(sample) <= EXACT_PAIRS:
        return _exact(sample)
    test = stats.permutation_test(
        (sample,),
        np.mean,
        permutation_type="samples",
        n_resamples=RESAMPLES,
        batch=2**12,
        rng=np.random.default_rng(0),
    )
    return float(test.pvalue)


def one_sided_t_test(values: Iterable[float], threshold: float) -> float:
    """Returns the p-value of Student's one-sided t-test that the mean exceeds `threshold`.

    **Raises:** `ValueError` for fewer than two values or one that is not finite.
    """
    sample = as_sample(values)
    if len(sample) < 2:
        raise ValueError("a t-test needs two values or more")
    if np.ptp(sample) == 0:  # scipy's p-value would depend on rounding
        return 0.0 if sample[0] > threshold else 1.0
    return float(stats.ttest_1samp(sample, threshold, alternative="greater").pvalue)


def smallest_p(n: int) -> float:
    """Returns the smallest p-value that `permutation_test` can give for n differences: 2 / 2^n, all of one sign."""
    return 2 / 2**n if n <= EXACT_PAIRS else 2 / (RESAMPLES + 1)


def min_pairs(alpha: float) -> int:
    """Returns the smallest n for which `permutation_test` can reject at `alpha`."""
    return max(2, int(np.ceil(1 - np.log2(alpha))))


def _exact(differences: np.ndarray) -> float:
    """Counts signed sums at least as far from 0 as the observed one, meeting in the middle: 2^(n/2) steps, not 2^n.

    `scipy.stats.permutation_test` gives the same p-value, but takes seconds from 20 differences on.
    """
    middle = len(differences) // 2
    left, right = _signed_sums(differences[:middle]), np.sort(_signed_sums(differences[middle:]))
    threshold = abs(differences.sum()) - _ROUNDING * np.abs(differences).sum()
    if threshold <= 0:
        return 1.0
    above = len(right) - np.searchsorted(right, threshold - left)
    return float(2 * above.sum() / 2 ** len(differences))


def _signed_sums(differences: np.ndarray) -> np.ndarray:
    sums = np.zeros(1)
    for difference in differences:
        sums = np.concatenate([sums + difference, sums - difference])
    return sums


def holm(p_values: Iterable[float]) -> np.ndarray:
    """Returns Holm-adjusted p-values, in the order given (Holm 1979).

    Rejecting where one is at most alpha keeps the family-wise error rate at alpha, however the tests depend on each
    other.

    **Raises:** `ValueError` for a value outside [0, 1].
    """
    given = np.asarray(list(p_values), dtype=np.float64)
    if given.ndim != 1 or not ((given >= 0) & (given <= 1)).all():
        raise ValueError("p-values lie between 0 and 1")
    order = np.argsort(given, kind="stable")
    scaled = given[order] * np.arange(len(given), 0, -1)
    adjusted = np.empty_like(given)
    adjusted[order] = np.minimum(np.maximum.accumulate(scaled), 1)
    return adjusted


def power_of_t_test(difference: float, deviation: float, n: int, alpha: float) -> float:
    """Returns the power of the two-sided paired t-test for a true mean difference and n > 1 pairs.

    `deviation`, over 0, is the standard deviation of the differences. It is computed as the noncentral F test of t^2,
    which has both tails in one: scipy's noncentral t loses the lower tail.
    """
    noncentrality = n * (difference / deviation) ** 2
    if noncentrality == 0:
        return alpha
    return float(stats.ncf.sf(stats.t.isf(alpha / 2, n - 1) ** 2, 1, n - 1, noncentrality))


def detectable_effect_size(n: int, alpha: float = 1 - LEVEL, power: float = POWER) -> float:
    """Returns the mean difference, in standard deviations of the differences, that n > 1 pairs detect at this power."""
    highest = 1.0
    while power_of_t_test(highest, 1.0, n, alpha) < power:
        highest *= 2
    return float(optimize.brentq(lambda size: power_of_t_test(size, 1.0, n, alpha) - power, 0.0, highest, xtol=1e-12))


def minimum_detectable_effect(
    differences: Iterable[float], alpha: float = 1 - LEVEL, power: float = POWER, level: float = LEVEL
) -> Estimate:
    """Returns the true mean difference that this number of pairs detects at this power, given how the differences vary.

    For the paired t-test, from the noncentral t distribution (Cohen 1988, section 2.3); the permutation test has nearly
    the same power from 10 pairs on, and none below `min_pairs(alpha)`. The interval is that of the standard deviation
    by chi-square. For Holm's first step over m pairs of arms pass `alpha / m`.

    **Raises:** `ValueError` for no difference or one that is not finite.
    """
    sample = as_sample(differences)
    _check(alpha, power)
    check_fraction("level", level)
    n = len(sample)
    if n == 1:
        return without_interval(math.inf, level)
    value = detectable_effect_size(n, alpha, power) * sample.std(ddof=1)
    tail = (1 - level) / 2
    low, high = (value * math.sqrt((n - 1) / quantile(tail, n - 1)) for quantile in (stats.chi2.isf, stats.chi2.ppf))
    return Estimate(float(value), float(low), float(high), level, "noncentral-t")


def seeds_needed(deviation: float, difference: float, alpha: float = 1 - LEVEL, power: float = POWER) -> int:
    """Returns the smallest number of seeds that detects a true mean `difference` at this power.

    `deviation` is the standard deviation of the differences, in the same unit. By the paired t-test, but at least the
    number with which the permutation test can reject at all.

    **Raises:** `ValueError` unless the difference is positive and the deviation finite and not negative.
    """
    if not (0 < difference < math.inf and 0 <= deviation < math.inf):
        raise ValueError(
            f"the difference must be positive and the deviation not negative, not {difference} and {deviation}"
        )
    _check(alpha, power)
    low = min_pairs(alpha)
    if deviation == 0:
        return low
    high = low
    while power_of_t_test(difference, deviation, high, alpha) < power:
        low, high = high + 1, 2 * high
    return low + bisect.bisect_left(
        range(low, high), True, key=lambda n: power_of_t_test(difference, deviation, n, alpha) >= power
    )


def _check(alpha: float, power: float) -> None:
    check_fraction("alpha", alpha)
    check_fraction("power", power)
    if power <= alpha:
        raise ValueError(f"the power must exceed alpha, {alpha:g}, not be {power:g}")
