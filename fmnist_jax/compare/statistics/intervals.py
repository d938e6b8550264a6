"""Confidence intervals for the centre of a sample, each over the last axis of an array `(..., n)`, n > 1.

Vectorised over leading axes, so that what the report prints and what the calibration measures is one and the same code.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import stats


class Interval(NamedTuple):
    """Lower and upper confidence limits, of the shape of the array without its last axis."""

    low: np.ndarray
    high: np.ndarray


def around(center: np.ndarray, half_width: np.ndarray) -> Interval:
    """Returns the interval `center ± half_width`."""
    return Interval(center - half_width, center + half_width)


def t_quantile(level: float, degrees: int) -> float:
    """Returns the quantile of Student's t that leaves `1 - level` in the two tails."""
    return float(stats.t.isf((1 - level) / 2, degrees))


def student_t(values: np.ndarray, level: float) -> Interval:
    """The mean's (Student 1908): exact for normal values, and of the methods measured the best on few seeds."""
    n = values.shape[-1]
    error = values.std(-1, ddof=1) / np.sqrt(n)
    return around(values.mean(-1), t_quantile(level, n - 1) * error)


def trimmed_share(n: int) -> int:
    """Returns how many of n sorted values the interquartile mean leaves out at each end, as `scipy.stats.trim_mean`."""
    return n // 4


def trimmed_t(values: np.ndarray, level: float) -> Interval:
    """The interquartile mean's, from the winsorised sum of squares (Tukey & McLaughlin 1963).

    Near its level in all that was measured, exact in none; for n < 4, where nothing is trimmed, Student's t itself.
    """
    n = values.shape[-1]
    cut = trimmed_share(n)
    kept = n - 2 * cut
    ordered = np.sort(values, axis=-1)
    winsorised = np.clip(ordered, ordered[..., [cut]], ordered[..., [n - 1 - cut]])
    error = np.sqrt(winsorised.var(-1) * n / (kept * (kept - 1)))
    return around(ordered[..., cut : n - cut].mean(-1), t_quantile(level, kept - 1) * error)


def least_for_order_statistics(level: float) -> int:
    """Returns from how many values on the whole range covers the median at this level: `1 - 2 / 2^n >= level`."""
    return int(np.ceil(1 - np.log2(1 - level)))


def order_statistics(values: np.ndarray, level: float) -> Interval:
    """The median's, interpolated between order statistics (Hettmansperger & Sheather 1986): nearly free of assumptions.

    The whole range, short of its level, where n is below `least_for_order_statistics(level)`.
    """
    n = values.shape[-1]
    ordered = np.sort(values, axis=-1)
    # levels[k - 1]: how often the median lies between the k-th value from below and the k-th from above.
    levels = 1 - 2 * stats.binom.cdf(np.arange(n // 2), n, 0.5)
    k = max(1, int(np.sum(levels >= level)))
    inner = 1 - 2 * stats.binom.cdf(k, n, 0.5)
    excess = max(0.0, (levels[k - 1] - level) / (levels[k - 1] - inner))
    weight = (n - k) * excess / (k + (n - 2 * k) * excess)
    low = (1 - weight) * ordered[..., k - 1] + weight * ordered[..., k]
    high = (1 - weight) * ordered[..., n - k] + weight * ordered[..., n - k - 1]
    return Interval(low, high)


def price_bonett(values: np.ndarray, level: float) -> Interval:
    """The median's, its standard error from a spacing of order statistics (Price & Bonett 2001).

    With Student's t in place of the normal quantile: above its level in all that was measured, where the normal one was
    below; for so few values that no interval free of assumptions exists.
    """
    n = values.shape[-1]
    ordered = np.sort(values, axis=-1)
    rank = max(1, round((n + 1) / 2 - np.sqrt(n)))
    spacing = 2 * stats.norm.isf(stats.binom.cdf(rank - 1, n, 0.5))
    error = (ordered[..., n - rank] - ordered[..., rank - 1]) / spacing
    return around(np.median(values, axis=-1), t_quantile(level, n - 1) * error)
