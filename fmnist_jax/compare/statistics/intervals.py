"""Confidence intervals over the last axis of an array `(..., n)`, n > 1; the calibration measures these functions."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import stats


class Interval(NamedTuple):
    """Lower and upper confidence limits, of the shape of the array without its last axis."""

    low: np.ndarray
    high: np.ndarray


def t_interval(center: np.ndarray, standard_error: np.ndarray, level: float, degrees: int) -> Interval:
    """Returns `center ± t * standard_error`, with Student's t of that many degrees of freedom.

    `scipy.stats.t.interval` is the same, but NaN where the standard error is 0.
    """
    half_width = stats.t.isf((1 - level) / 2, degrees) * standard_error
    return Interval(center - half_width, center + half_width)


def student_t(values: np.ndarray, level: float) -> Interval:
    """Returns the t interval of the mean (Student 1908), exact for normal values."""
    return t_interval(values.mean(-1), stats.sem(values, axis=-1), level, values.shape[-1] - 1)


def iqm_of(values: np.ndarray, axis: int = -1) -> np.ndarray:
    """Returns the mean over the axis without the `n // 4` lowest and highest values, as `scipy.stats.trim_mean`.

    It adds in sorted order, so that reordered values give the same bits.
    """
    ordered = np.sort(np.moveaxis(values, axis, -1), axis=-1)
    n = ordered.shape[-1]
    return ordered[..., n // 4 : n - n // 4].mean(-1)


def trimmed_t(values: np.ndarray, level: float) -> Interval:
    """Returns the t interval of the interquartile mean (Tukey & McLaughlin 1963), from the winsorised variance.

    Below 4 values nothing is trimmed, and it equals `student_t`.
    """
    n = values.shape[-1]
    cut = n // 4
    kept = n - 2 * cut
    ordered = np.sort(values, axis=-1)
    winsorised = np.clip(ordered, ordered[..., [cut]], ordered[..., [n - 1 - cut]])
    error = np.sqrt(winsorised.var(-1) * n / (kept * (kept - 1)))
    return t_interval(iqm_of(ordered), error, level, kept - 1)


def min_runs_for_order_statistics(level: float) -> int:
    """Returns the smallest n at which the range of n values covers the median at this level: 1 - 2 / 2^n."""
    return int(np.ceil(1 - np.log2(1 - level)))


def order_statistics(values: np.ndarray, level: float) -> Interval:
    """Returns the distribution-free interval of the median, interpolated (Hettmansperger & Sheather 1986).

    As `scipy.stats.mstats.median_cihs`, but over many samples at once. Below `min_runs_for_order_statistics(level)`
    values it is the whole range, which covers the median less often than `level`.
    """
    n = values.shape[-1]
    ordered = np.sort(values, axis=-1)
    # levels[k - 1]: how often the median lies between the k-th lowest and the k-th highest value.
    levels = 1 - 2 * stats.binom.cdf(np.arange(n // 2), n, 0.5)
    k = max(1, int(np.sum(levels >= level)))
    inner = 1 - 2 * stats.binom.cdf(k, n, 0.5)
    excess = max(0.0, (levels[k - 1] - level) / (levels[k - 1] - inner))
    weight = (n - k) * excess / (k + (n - 2 * k) * excess)
    low = (1 - weight) * ordered[..., k - 1] + weight * ordered[..., k]
    high = (1 - weight) * ordered[..., n - k] + weight * ordered[..., n - k - 1]
    return Interval(low, high)


def price_bonett(values: np.ndarray, level: float) -> Interval:
    """Returns a t interval of the median, its standard error from a spacing of order statistics (Price & Bonett 2001).

    For samples too small for `order_statistics`. With Student's t it covered more often than `level` in every
    simulation; with the paper's normal quantile, less often.
    """
    n = values.shape[-1]
    ordered = np.sort(values, axis=-1)
    rank = max(1, round((n + 1) / 2 - np.sqrt(n)))
    spacing = 2 * stats.norm.isf(stats.binom.cdf(rank - 1, n, 0.5))
    error = (ordered[..., n - rank] - ordered[..., rank - 1]) / spacing
    return t_interval(np.median(values, axis=-1), error, level, n - 1)


def wilson(proportion: float | np.ndarray, n: float | np.ndarray, level: float) -> Interval:
    """Returns the score interval of a probability from the observed proportion in n trials (Wilson 1927).

    Shapes broadcast, and `proportion * n` need not be an integer, as `scipy.stats.binomtest` requires.
    """
    z = stats.norm.isf((1 - level) / 2)
    proportion, n = np.asarray(proportion, dtype=np.float64), np.asarray(n)
    weight = 1 + z**2 / n
    center = (proportion + z**2 / (2 * n)) / weight
    half_width = z * np.sqrt(proportion * (1 - proportion) / n + z**2 / (4 * n**2)) / weight
    return Interval(np.clip(center - half_width, 0, proportion), np.clip(center + half_width, proportion, 1))
