"""Statistics of tuning trials: the expected best score of k trials, optima at range edges, the rate's plateau."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from scipy import special

from fmnist_jax.compare.statistics.estimates import LEVEL, as_pairs, as_sample, check_fraction
from fmnist_jax.compare.statistics.intervals import Interval, t_interval

if TYPE_CHECKING:
    from fmnist_jax.compare.planned import SearchRange

EDGE_SHARE = 0.05
TOLERANCE = 0.005  # half a point of accuracy
_GRID_POINTS = 10_001


class TuningCurve(NamedTuple):
    """The expected best score by number of trials; arrays `(trials,)`, the first for one trial.

    **Attributes:**

    - `low`, `high`: a pointwise confidence band at `level`; NaN where there is none, as for all trials together.
    - `supported`: the number of trials up to which the band nearly has its level; beyond, it is too narrow.
    """

    trials: np.ndarray
    value: np.ndarray
    low: np.ndarray
    high: np.ndarray
    level: float
    supported: int


class AtEdge(NamedTuple):
    """The best trial's value of a hyperparameter, near a bound of its search range.

    `edge` says which `bound`; `distance` from it is a fraction of the range's width on its scale: 0 on the bound,
    negative beyond it.
    """

    name: str
    value: float
    edge: Literal["low", "high"]
    bound: float
    distance: float


class Sensitivity(NamedTuple):
    """The score against the learning rate.

    **Attributes:**

    - `rates`, `scores`: the points `(bins,)` of the curve, ascending in the rate, linear in log rate between them.
    - `best_rate`: the rate of the best trial.
    - `decades`: the width of the plateau: how many decades of the rate are within the tolerance of the best score.
    - `share`: the same as a fraction of the searched range.
    """

    rates: np.ndarray
    scores: np.ndarray
    best_rate: float
    decades: float
    share: float


def expected_best(scores: Iterable[float], defaults: float | None = None, level: float = LEVEL) -> TuningCurve:
    """Returns the expected best score of k = 1, 2, ... trials, from the scores of all n trials of an arm.

    The expectation is over k of the n trials drawn without replacement: exact, and unbiased for k new trials of the
    same random search (Sivaprasad et al. 2020; Tang et al. 2020 on the bias of drawing with replacement, as in Dodge et
    al. 2019). `defaults` is the score of a first trial that every search begins with, not among `scores`.

    The band is the jackknife's with Student's t, over the draw of the trials and not over seeds.

    **Raises:** `ValueError` for no score or one that is not finite.
    """
    sample = np.sort(as_sample(scores))
    check_fraction("level", level)
    if defaults is not None:
        as_sample([defaults])
    value = best_of_k(sample, defaults)
    low, high = jackknife_band(sample, defaults, level) if len(sample) > 1 else np.full((2, len(value)), np.nan)
    trials = np.arange(1, len(value) + 1)
    # All n scores are below the median of the best of k with probability 2^(-n / k), which must not exceed the tail.
    supported = int(len(value) * math.log(2) / math.log(2 / (1 - level)))
    return TuningCurve(trials, value, low, high, level, supported)


def best_of_k(ordered: np.ndarray, defaults: float | None = None) -> np.ndarray:
    """Returns the expected best of k = 1, 2, ... trials, over the last axis of ascending scores `(..., n)`."""
    if defaults is None:
        return ordered @ _weights(ordered.shape[-1]).T
    first = np.full((*ordered.shape[:-1], 1), defaults)
    return np.concatenate([first, best_of_k(np.maximum(ordered, defaults))], axis=-1)


def jackknife_band(ordered: np.ndarray, defaults: float | None, level: float) -> Interval:
    """Returns limits `(..., trials)` from leaving out each of n > 1 ascending scores `(..., n)` in turn.

    Too narrow for the last trials, where the estimate depends on the few best scores.
    """
    n = ordered.shape[-1]
    others = np.array([np.delete(np.arange(n), left_out) for left_out in range(n)])
    value, without = best_of_k(ordered, defaults), best_of_k(ordered[..., others], defaults)
    error = np.sqrt(n - 1) * without.std(-2)
    # The best of all n has no counterpart among n - 1.
    error = np.concatenate([error, np.full_like(error[..., :1], np.nan)], axis=-1)
    return t_interval(value, error, level, n - 1)


def _weights(n: int) -> np.ndarray:
    """The probability that the i-th of n ascending scores is the best of k: C(i - 1, k - 1) / C(n, k), `(k, i)`."""
    k, i = np.arange(1, n + 1)[:, None], np.arange(1, n + 1)
    with np.errstate(invalid="ignore"):
        logarithm = _log_choose(i - 1, k - 1) - _log_choose(np.array(n), k)
    return np.where(i >= k, np.exp(logarithm), 0.0)


def _log_choose(n: np.ndarray, k: np.ndarray) -> np.ndarray:
    return special.gammaln(n + 1) - special.gammaln(k + 1) - special.gammaln(np.maximum(n - k, 0) + 1)


def at_edges(
    best: Mapping[str, float], spaces: Mapping[str, SearchRange], share: float = EDGE_SHARE
) -> tuple[AtEdge, ...]:
    """Returns the hyperparameters of the best trial within `share` of their range's width from one of its bounds.

    Those that were not searched (equal bounds, or not in `spaces`) are left out. A random value is as near to a bound
    with probability `2 * share`: the finding suggests a wider range, and does not prove that it is needed.
    """
    found = []
    for name, space in spaces.items():
        if name in best and space.low < space.high:
            from_low = share_of_range(best[name], space)
            if from_low <= 0.5:
                found.append(AtEdge(name, best[name], "low", space.low, from_low))
            else:
                found.append(AtEdge(name, best[name], "high", space.high, 1 - from_low))
    return tuple(edge for edge in found if edge.distance <= share)


def share_of_range(value: float, space: SearchRange) -> float:
    """Returns where `value` is in its search range on its scale: 0 at the lower bound, 1 at the upper one."""
    low, high, own = (_on_scale(x, space.scale) for x in (space.low, space.high, value))
    return (own - low) / (high - low)


def _on_scale(value: float, scale: str) -> float:
    """The value on the scale on which it was sampled; minus infinity for 0 on a log scale."""
    with np.errstate(divide="ignore"):
        if scale == "log":
            return float(np.log(value))
        return float(-np.log1p(-value)) if scale == "log1m" else value


def learning_rate_sensitivity(
    rates: Iterable[float], scores: Iterable[float], low: float, high: float, tolerance: float = TOLERANCE
) -> Sensitivity:
    """Returns how the score depends on the learning rate, from trials within the searched range `low` to `high`.

    The range is divided into equal bins of log rate, one per three trials (at least five), and the curve joins the best
    trial of each bin: the score that the rate allows when the other hyperparameters are well tuned. The plateau ends
    at the outermost trials.

    **Raises:** `ValueError` for no trial, a score that is not finite, or a rate outside the range.
    """
    tried, found = as_pairs(rates, scores)
    if not (0 < low < high and tried.min() >= low and tried.max() <= high):
        raise ValueError(f"learning rates must lie within the searched range, {low} to {high}, and it above 0")
    log_rates, start, end = np.log10(tried), math.log10(low), math.log10(high)
    count = max(math.ceil(len(tried) / 3), 5)
    bins = np.minimum((count * (log_rates - start) / (end - start)).astype(int), count - 1)
    # Sorted by bin, then by score: the last of each bin is its best.
    order = np.lexsort((found, bins))
    points = order[np.append(bins[order][1:] != bins[order][:-1], True)]
    best = found[points]
    grid = np.linspace(start, end, _GRID_POINTS)
    curve = np.interp(grid, log_rates[points], best, left=-np.inf, right=-np.inf)
    share = float(np.mean(curve >= best.max() - tolerance))
    return Sensitivity(tried[points], best, float(tried[found.argmax()]), float(share * (grid[-1] - grid[0])), share)
