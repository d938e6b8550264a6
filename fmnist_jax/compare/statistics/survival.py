"""Time and steps to a target accuracy; runs that never reach it are right-censored."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from scipy import stats

from fmnist_jax.compare.statistics import estimates
from fmnist_jax.compare.statistics.estimates import LEVEL, Estimate
from fmnist_jax.compare.statistics.intervals import t_interval, wilson

# A share is a product of quotients: rounding may leave it slightly too small.
_ROUNDING = 1e-9


class Times(NamedTuple):
    """The times, or steps, of an arm's runs to one target.

    **Attributes:**

    - `times`: `(runs,)`: when the run reached the target or, if it did not, when it was last observed.
    - `reached`: `(runs,)`: whether it reached the target.
    """

    times: np.ndarray
    reached: np.ndarray


class ReachedCurve(NamedTuple):
    """The Kaplan-Meier estimate of the share of runs that have reached the target by each time, a step function.

    `times` `(k,)` ascend; `share` and its pointwise band `low`, `high` hold from each time to the next.
    """

    times: np.ndarray
    share: np.ndarray
    low: np.ndarray
    high: np.ndarray
    level: float


def as_times(times: Iterable[float], reached: Iterable[bool]) -> Times:
    """Returns the times of the runs, each positive.

    Censor a diverged run at the end of its *budget*: censored where it diverged, it would count as if it could still
    reach the target.

    **Raises:** `ValueError` for no time, one that is not finite and positive, or different numbers of the two.
    """
    sample, flags = estimates.as_sample(times), np.asarray(list(reached), dtype=bool)
    if len(sample) != len(flags) or sample.min() <= 0:
        raise ValueError(f"times must be positive and as many as the runs, not {sample} for {len(flags)} runs")
    return Times(sample, flags)


def time_to_target(times: Iterable[float], scores: Iterable[float], target: float) -> tuple[float, bool]:
    """Returns the time of a run's first score at or above the target, and True; else its last time, and False.

    `times` and `scores` are of its evaluations, in order; NaN is below any target.

    **Raises:** `ValueError` for no evaluation, or different numbers of times and scores.
    """
    evaluated = list(zip(times, scores, strict=True))
    if not evaluated:
        raise ValueError("a run without an evaluation has no time to target")
    first = next((time for time, score in evaluated if score >= target), None)
    return (evaluated[-1][0], False) if first is None else (first, True)


def kaplan_meier(runs: Times, level: float = LEVEL) -> ReachedCurve:
    """Returns the share of runs that have reached the target by each time (Kaplan & Meier 1958).

    The band is Wilson's for the effective number of runs by Greenwood's variance (Rothman 1978): without censoring
    before the time, it is Wilson's interval itself.
    """
    estimates.check_fraction("level", level)
    times, missing, at_risk, events = _life_table(runs)
    # The number of uncensored runs that would have this variance; where it is 0, the runs not censored before.
    terms = np.cumsum(_greenwood(at_risk, events))
    uncensored = at_risk + np.cumsum(events) - events
    known = (missing > 0) & (terms > 0)
    effective = np.where(known, (1 - missing) / np.where(known, missing * terms, 1.0), uncensored)
    low, high = wilson(1 - missing, effective, level)
    return ReachedCurve(times, 1 - missing, low, high, level)


def median_time(runs: Times) -> float:
    """Returns the time by which half of the runs have reached the target; infinite if they do not."""
    curve = kaplan_meier(runs)
    reached = curve.times[curve.share >= 0.5 - _ROUNDING]
    return float(reached[0]) if reached.size else math.inf


def restricted_mean(runs: Times, horizon: float, level: float = LEVEL) -> Estimate:
    """Returns the restricted mean time to target: the mean of the time to the target or the `horizon`, whichever is
    first (Irwin 1949). Arms that are compared need the same horizon, such as the smallest budget.

    The interval has Greenwood's variance (Klein & Moeschberger 2003, section 4.5) times n / (n - 1), and Student's t:
    without censoring before the horizon, it is the t interval of the mean. There is none for a single run, or where no
    run reaches the target before the horizon.

    **Raises:** `ValueError` unless the horizon is positive and, where a run is censored, not beyond the last time.
    """
    estimates.check_fraction("level", level)
    times, missing, at_risk, events = _life_table(runs)
    if horizon <= 0 or (horizon > times[-1] and missing[-1] > 0):
        raise ValueError(f"the horizon must be positive and not beyond the last time, {times[-1]:g}, not {horizon:g}")
    inside = times < horizon
    edges = np.concatenate([[0.0], times[inside], [horizon]])
    areas = np.diff(edges) * np.concatenate([[1.0], missing[inside]])
    value, n = areas.sum(), len(runs.times)
    if n == 1 or not events[inside].any():
        return estimates.without_interval(value, level)
    left = value - np.cumsum(areas)[:-1]
    variance = np.sum(left**2 * _greenwood(at_risk, events)[inside]) * n / (n - 1)
    return estimates.estimate_of(value, t_interval(value, np.sqrt(variance), level, n - 1), level, "greenwood-t")


def _greenwood(at_risk: np.ndarray, events: np.ndarray) -> np.ndarray:
    """The terms of Greenwood's sum; 0 where all runs at risk reach the target, which ends the estimate."""
    return np.where(at_risk > events, events / (at_risk * np.maximum(at_risk - events, 1)), 0.0)


def _life_table(runs: Times) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """By distinct time: the time, the share that has not reached the target, the runs at risk and those reaching it."""
    estimate = stats.ecdf(stats.CensoredData.right_censored(runs.times, ~runs.reached)).sf
    times = np.asarray(estimate.quantiles)
    at_risk = (runs.times[:, None] >= times).sum(0)
    events = ((runs.times[:, None] == times) & runs.reached[:, None]).sum(0)
    return times, np.asarray(estimate.probabilities), at_risk, events
