"""Time and steps to a target: runs that never reach it are censored, not left out and not counted as if they had."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from scipy import stats

from fmnist_jax.compare.statistics.estimates import Estimate, estimate_of, without_interval
from fmnist_jax.compare.statistics.intervals import around, t_quantile
from fmnist_jax.compare.statistics.samples import LEVEL, as_sample, check_share
from fmnist_jax.compare.statistics.sampling import wilson

# A share is a product of quotients, and may come out a little less than it is.
_ROUNDING = 1e-9


class Times(NamedTuple):
    """The times, or steps, of an arm's runs to one target.

    **Attributes:**

    - `times`: `(runs,)`: when the target was reached; for a run that did not, how long it is known not to have.
    - `reached`: `(runs,)`: whether it was.
    """

    times: np.ndarray
    reached: np.ndarray


class ReachedCurve(NamedTuple):
    """The share of runs that have reached the target by each time: Kaplan & Meier's estimate, a step function.

    `times` `(k,)` ascend; `share`, `low`, `high` hold from their time on to the next, with a pointwise interval.
    """

    times: np.ndarray
    share: np.ndarray
    low: np.ndarray
    high: np.ndarray
    level: float


def as_times(times: Iterable[float], reached: Iterable[bool]) -> Times:
    """Returns the times of the runs, each over 0.

    A diverged run never reaches the target: give it as not reached by the end of the *budget*, for censored where it
    diverged it would count as if it could still have.

    **Raises:** `ValueError` where there is none, one is not finite or not over 0, or their numbers are not equal.
    """
    sample, flags = as_sample(times), np.asarray(list(reached), dtype=bool)
    if len(sample) != len(flags) or sample.min() <= 0:
        raise ValueError(f"times lie over 0 and are as many as the runs, not {sample} of {len(flags)}")
    return Times(sample, flags)


def time_to_target(times: Iterable[float], scores: Iterable[float], target: float) -> tuple[float, bool]:
    """Returns when a run's score was first at least the target, and True; else its last time, and False.

    `times` and `scores` are of its evaluations in turn; a score that is not a number is below any target.

    **Raises:** `ValueError` where there is no evaluation, or not as many of one as of the other.
    """
    evaluated = list(zip(times, scores, strict=True))
    if not evaluated:
        raise ValueError("a run without an evaluation has no time to target")
    first = next((time for time, score in evaluated if score >= target), None)
    return (evaluated[-1][0], False) if first is None else (first, True)


def kaplan_meier(runs: Times, level: float = LEVEL) -> ReachedCurve:
    """Returns the share of runs that have reached the target by each time (Kaplan & Meier 1958).

    The band is Wilson's with the number of runs that Greenwood's variance is worth (Rothman 1978): without censoring
    before the time, Wilson's interval itself, also where all runs or none have reached the target.
    """
    check_share("level", level)
    times, missing, at_risk, events = _table(runs)
    low, high = wilson(1 - missing, _effective_runs(missing, at_risk, events), level)
    return ReachedCurve(times, 1 - missing, low, high, level)


def median_time(runs: Times) -> float:
    """Returns the time by which half of the runs have reached the target; infinite where they do not."""
    curve = kaplan_meier(runs)
    reached = curve.times[curve.share >= 0.5 - _ROUNDING]
    return float(reached[0]) if reached.size else math.inf


def restricted_mean(runs: Times, horizon: float, level: float = LEVEL) -> Estimate:
    """Returns the mean of the time to target or to `horizon`, whichever comes first: the area under the share of runs
    still on their way (Irwin 1949). Of arms to be compared, the same horizon, such as the smallest budget.

    The interval is Greenwood's (Klein & Moeschberger 2003, 4.5) with n / (n - 1) for n in the variance and Student's t:
    without censoring before the horizon, Student's interval of the mean itself. A single run has none, nor have runs
    of which none reaches the target before the horizon: of those it is known only that they take longer.

    **Raises:** `ValueError` where the horizon is not over 0, or lies beyond the last time and not all had reached it.
    """
    check_share("level", level)
    times, missing, at_risk, events = _table(runs)
    if horizon <= 0 or (horizon > times[-1] and missing[-1] > 0):
        raise ValueError(f"the horizon must lie over 0 and not beyond the last time, {times[-1]:g}, but is {horizon:g}")
    inside = times < horizon
    edges = np.concatenate([[0.0], times[inside], [horizon]])
    areas = np.diff(edges) * np.concatenate([[1.0], missing[inside]])
    value, n = areas.sum(), len(runs.times)
    if n == 1 or not events[inside].any():
        return without_interval(value, level)
    left = value - np.cumsum(areas)[:-1]
    variance = np.sum(left**2 * _greenwood(at_risk, events)[inside]) * n / (n - 1)
    error = t_quantile(level, n - 1) * np.sqrt(variance)
    return estimate_of(value, around(np.asarray(value), error), level, "greenwood-t")


def log_rank(a: Times, b: Times) -> float:
    """Returns the p-value of the log-rank test that two arms reach the target alike; 1 where no run reaches it.

    It takes the runs as independent, and is asymptotic: see docs/statistics for its rate on few seeds.
    """
    if not (a.reached.any() or b.reached.any()):
        return 1.0
    first, second = (stats.CensoredData.right_censored(arm.times, ~arm.reached) for arm in (a, b))
    with np.errstate(divide="ignore", invalid="ignore"):
        p_value = float(stats.logrank(first, second).pvalue)
    # Without any variance, as where all reach it at once, nothing speaks against their being alike.
    return 1.0 if math.isnan(p_value) else p_value


def _greenwood(at_risk: np.ndarray, events: np.ndarray) -> np.ndarray:
    """The terms of Greenwood's sum; 0 where all at risk reach the target, with which the estimate ends."""
    return np.where(at_risk > events, events / (at_risk * np.maximum(at_risk - events, 1)), 0.0)


def _effective_runs(missing: np.ndarray, at_risk: np.ndarray, events: np.ndarray) -> np.ndarray:
    """How many uncensored runs would give the variance; where it is 0, those not censored before."""
    terms = np.cumsum(_greenwood(at_risk, events))
    uncensored = at_risk + np.cumsum(events) - events
    known = (missing > 0) & (terms > 0)
    return np.where(known, (1 - missing) / np.where(known, missing * terms, 1.0), uncensored)


def _table(runs: Times) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """By distinct time: the time, the share still missing after it, the runs at risk at it, and those reaching it."""
    estimate = stats.ecdf(stats.CensoredData.right_censored(runs.times, ~runs.reached)).sf
    times = np.asarray(estimate.quantiles)
    at_risk = (runs.times[:, None] >= times).sum(0)
    events = ((runs.times[:, None] == times) & runs.reached[:, None]).sum(0)
    return times, np.asarray(estimate.probabilities), at_risk, events
