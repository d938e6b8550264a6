"""The centre of a score over seeds, with the uncertainty that comes from the seeds."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import numpy as np

from fmnist_jax.compare.statistics import intervals
from fmnist_jax.compare.statistics.intervals import Interval
from fmnist_jax.compare.statistics.resampling import bootstrap
from fmnist_jax.compare.statistics.samples import LEVEL, as_sample, check_share

NO_INTERVAL = "none"


class Estimate(NamedTuple):
    """An estimate with its confidence interval.

    **Attributes:**

    - `value`: the estimate, in the unit of what was given.
    - `low`, `high`: the limits; `nan` where there is no interval, as from a single run.
    - `level`: the confidence level that the interval aims at.
    - `method`: how the interval was made; `"none"` where there is none.
    """

    value: float
    low: float
    high: float
    level: float
    method: str


def estimate_of(value: float, interval: Interval, level: float, method: str) -> Estimate:
    """Returns the estimate with plain numbers in it."""
    return Estimate(float(value), float(interval.low), float(interval.high), level, method)


def without_interval(value: float, level: float) -> Estimate:
    """Returns an estimate whose uncertainty is unknown."""
    return Estimate(float(value), math.nan, math.nan, level, NO_INTERVAL)


def mean_of(values: np.ndarray, axis: int = -1) -> np.ndarray:
    """Returns the mean over the axis."""
    return values.mean(axis)


def median_of(values: np.ndarray, axis: int = -1) -> np.ndarray:
    """Returns the median over the axis."""
    return np.median(values, axis=axis)


def iqm_of(values: np.ndarray, axis: int = -1) -> np.ndarray:
    """Returns the interquartile mean over the axis: of what is left without the `n // 4` lowest and highest values."""
    ordered = np.sort(np.moveaxis(values, axis, -1), axis=-1)
    cut = intervals.trimmed_share(values.shape[axis])
    return ordered[..., cut : values.shape[axis] - cut].mean(-1)


Method = Callable[[np.ndarray, float], Interval]


def _resampled(statistic: Callable[..., np.ndarray]) -> dict[str, Method]:
    def by(method: str) -> Method:
        return lambda values, level: bootstrap((values,), statistic, level, method=method)

    return {method: by(method) for method in ("BCa", "percentile")}


# The defaults are those that held their level best in docs/statistics.
MEAN_METHODS: Mapping[str, Method] = {"t": intervals.student_t} | _resampled(mean_of)
MEDIAN_METHODS: Mapping[str, Method] = {
    "order-statistics": intervals.order_statistics,
    "price-bonett": intervals.price_bonett,
} | _resampled(median_of)
IQM_METHODS: Mapping[str, Method] = {"trimmed-t": intervals.trimmed_t} | _resampled(iqm_of)


def mean(values: Iterable[float], level: float = LEVEL, method: str = "t") -> Estimate:
    """Returns the mean over seeds; `method` is `"t"` (Student's), `"BCa"` or `"percentile"` (bootstrap over seeds).

    Student's t is exact for normal noise and held its level best elsewhere. A single failed run takes the mean with it:
    then no method's interval for it holds, the median's and the IQM's do.

    **Raises:** `ValueError` where there is no value or one is not finite.
    """
    return _estimate(values, mean_of, MEAN_METHODS, level, method)


def median(values: Iterable[float], level: float = LEVEL, method: str | None = None) -> Estimate:
    """Returns the median over seeds; `method` is `"order-statistics"`, `"price-bonett"`, `"BCa"` or `"percentile"`.

    By default the first (Hettmansperger & Sheather's), which assumes next to nothing, where there are seeds enough, six
    at 95 %; else the second (with Student's t), which errs on the wide side.

    **Raises:** `ValueError` where there is no value or one is not finite.
    """
    sample = as_sample(values)
    check_share("level", level)
    enough = len(sample) >= intervals.least_for_order_statistics(level)
    method = method or ("order-statistics" if enough else "price-bonett")
    return _estimate(sample, median_of, MEDIAN_METHODS, level, method)


def iqm(values: Iterable[float], level: float = LEVEL, method: str = "trimmed-t") -> Estimate:
    """Returns the interquartile mean over seeds (Agarwal et al. 2021): `scipy.stats.trim_mean(values, 0.25)`.

    `method` is `"trimmed-t"` (Tukey & McLaughlin's), which held its level best, `"BCa"` or `"percentile"`, which is
    Agarwal's choice. Below four seeds nothing is trimmed, and it is the mean; with four, two are left and the interval
    is wide.

    **Raises:** `ValueError` where there is no value or one is not finite.
    """
    return _estimate(values, iqm_of, IQM_METHODS, level, method)


def _estimate(
    values: Iterable[float],
    statistic: Callable[[np.ndarray], np.ndarray],
    methods: Mapping[str, Method],
    level: float,
    method: str,
) -> Estimate:
    sample = as_sample(values)
    check_share("level", level)
    if method not in methods:
        raise ValueError(f"method must be one of {', '.join(methods)}, not {method!r}")
    if len(sample) == 1:
        return without_interval(sample[0], level)
    return estimate_of(float(statistic(sample)), methods[method](sample, level), level, method)
