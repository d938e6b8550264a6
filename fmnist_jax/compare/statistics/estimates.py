"""Estimates over seeds (mean, median, interquartile mean, accuracy) with their confidence intervals."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

from fmnist_jax.compare.statistics import intervals

LEVEL = 0.95


class Estimate(NamedTuple):
    """An estimate with its confidence interval.

    **Attributes:**

    - `value`: the estimate, in the unit of the scores.
    - `low`, `high`: the confidence limits; NaN where there is no interval, as for a single run.
    - `level`: the nominal confidence level.
    - `method`: how the interval was computed; `"none"` where there is none.
    """

    value: float
    low: float
    high: float
    level: float
    method: str


def estimate_of(value: float, interval: intervals.Interval, level: float, method: str) -> Estimate:
    """Returns the estimate, its numbers converted to Python floats."""
    return Estimate(float(value), float(interval.low), float(interval.high), level, method)


def without_interval(value: float, level: float) -> Estimate:
    """Returns an estimate of unknown uncertainty."""
    return Estimate(float(value), math.nan, math.nan, level, "none")


def mean(values: Iterable[float], level: float = LEVEL) -> Estimate:
    """Returns the mean over seeds, with Student's t interval.

    The interval is exact for normal noise. It does not hold where some runs fail: use the median or the IQM there.

    **Raises:** `ValueError` for no value or one that is not finite.
    """
    return _estimate(values, np.mean, intervals.student_t, level, "t")


def median(values: Iterable[float], level: float = LEVEL) -> Estimate:
    """Returns the median over seeds, with the interval between order statistics (Hettmansperger & Sheather 1986).

    With too few runs for that (below 6 at 95 %), the interval is Price & Bonett's, which is conservative.

    **Raises:** `ValueError` for no value or one that is not finite.
    """
    sample = as_sample(values)
    check_fraction("level", level)
    if len(sample) < intervals.min_runs_for_order_statistics(level):
        return _estimate(sample, np.median, intervals.price_bonett, level, "price-bonett")
    return _estimate(sample, np.median, intervals.order_statistics, level, "order-statistics")


def iqm(values: Iterable[float], level: float = LEVEL) -> Estimate:
    """Returns the interquartile mean over seeds (Agarwal et al. 2021, section 4.3), with Tukey & McLaughlin's interval.

    Below 4 seeds nothing is trimmed, and it is the mean. From 4 seeds only 2 are kept, so the interval is wide.

    **Raises:** `ValueError` for no value or one that is not finite.
    """
    return _estimate(values, intervals.iqm_of, intervals.trimmed_t, level, "trimmed-t")


def sampling_uncertainty(accuracy: float, examples: int, level: float = LEVEL) -> Estimate:
    """Returns the accuracy with Wilson's interval: its range over other test sets of this size.

    For one network, and approximately for the mean over seeds, since seeds err on nearly the same images. It is the
    uncertainty of an accuracy and not of a difference between arms, which share one test set.

    **Raises:** `ValueError` unless 0 <= accuracy <= 1 and examples >= 1.
    """
    if not (0 <= accuracy <= 1 and examples >= 1):
        raise ValueError(
            f"an accuracy lies between 0 and 1, of one or more examples, not {accuracy} of {examples} examples"
        )
    check_fraction("level", level)
    return estimate_of(accuracy, intervals.wilson(accuracy, examples, level), level, "wilson")


def as_sample(values: Iterable[float]) -> np.ndarray:
    """Returns the values as float64 `(n,)`.

    **Raises:** `ValueError` for no value or one that is not finite.
    """
    sample = np.asarray(values if isinstance(values, np.ndarray) else list(values), dtype=np.float64)
    if sample.ndim != 1 or not sample.size:
        raise ValueError(f"a sample must be a 1-d array of one or more numbers, not of shape {sample.shape}")
    if infinite := np.count_nonzero(~np.isfinite(sample)):
        raise ValueError(f"a sample must hold finite numbers; {infinite} of these are not")
    return sample


def as_pairs(a: Iterable[float], b: Iterable[float]) -> tuple[np.ndarray, np.ndarray]:
    """Returns two samples in which `a[i]` and `b[i]` are a pair.

    **Raises:** `ValueError` for samples of different lengths, and as `as_sample`.
    """
    first, second = as_sample(a), as_sample(b)
    if len(first) != len(second):
        raise ValueError(f"paired samples must have equal numbers of values, not {len(first)} and {len(second)}")
    return first, second


def check_fraction(name: str, value: float) -> None:
    """Raises `ValueError` unless the value lies strictly between 0 and 1."""
    if not 0 < value < 1:
        raise ValueError(f"{name} must lie strictly between 0 and 1, not be {value}")


def _estimate(
    values: Iterable[float],
    statistic: Callable[[np.ndarray], np.ndarray | float],
    interval: Callable[[np.ndarray, float], intervals.Interval],
    level: float,
    method: str,
) -> Estimate:
    sample = as_sample(values)
    check_fraction("level", level)
    if len(sample) == 1:
        return without_interval(sample[0], level)
    return estimate_of(float(statistic(sample)), interval(sample, level), level, method)
