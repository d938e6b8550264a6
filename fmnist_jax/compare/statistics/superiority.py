"""The probability that a run of A scores better than a run of B; a tie counts half."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from scipy import stats
from scipy.optimize import elementwise

from fmnist_jax.compare.statistics.estimates import Estimate, estimate_of
from fmnist_jax.compare.statistics.intervals import Interval
from fmnist_jax.compare.statistics.resampling import RESAMPLES, bootstrap
from fmnist_jax.compare.statistics.samples import LEVEL, as_pairs, as_sample, check_share
from fmnist_jax.compare.statistics.sampling import wilson

_INSIDE = 1e-12


def probability_of_improvement(
    a: Iterable[float], b: Iterable[float], level: float = LEVEL, method: str = "newcombe"
) -> Estimate:
    """Returns P(A > B) over all pairs of a run of A with a run of B: how often A is better, whatever the seeds.

    Mann and Whitney's U over its maximum (Agarwal et al. 2021, section 4.3).

    `method` is `"newcombe"`, for independent runs the nearest to its level, and on the wide side where the runs of a
    seed are correlated; or `"percentile"`, Agarwal's bootstrap, here of seeds and so with equally many of both: far too
    narrow on few seeds, of no width at all where every run of A is better.

    **Raises:** `ValueError` where there is no value, one is not finite, or the bootstrap gets unequal numbers.
    """
    check_share("level", level)
    if method == "newcombe":
        first, second = as_sample(a), as_sample(b)
        interval = newcombe(wins(first, second), len(first), len(second), level)
    elif method == "percentile":
        first, second = as_pairs(a, b)
        interval = resampled(first, second, level)
    else:
        raise ValueError(f"method must be newcombe or percentile, not {method!r}")
    return estimate_of(float(wins(first, second)), interval, level, method)


def paired_probability_of_improvement(a: Iterable[float], b: Iterable[float], level: float = LEVEL) -> Estimate:
    """Returns P(A > B) on the same seed: the share of seeds i with `a[i] > b[i]`, with Wilson's interval.

    **Raises:** `ValueError` where there are not as many of one as of the other, none, or one is not finite.
    """
    first, second = as_pairs(a, b)
    check_share("level", level)
    share = wins_of_pairs(first, second)
    return estimate_of(float(share), wilson(share, len(first), level), level, "wilson")


def wins(a: np.ndarray, b: np.ndarray, axis: int = -1) -> np.ndarray:
    """Returns the share of pairs of a value of `a` with one of `b` in which the former is greater, over the axis."""
    first, second = np.moveaxis(a, axis, -1), np.moveaxis(b, axis, -1)
    return _halves(first[..., :, None] - second[..., None, :]).mean((-2, -1))


def wins_of_pairs(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Returns the share of places on the last axis at which the value of `a` is greater than that of `b`."""
    return _halves(a - b).mean(-1)


def newcombe(share: np.ndarray, n_a: int, n_b: int, level: float) -> Interval:
    """Returns the limits of P(A > B) from the share of pairs that n_a and n_b independent runs won, of any shape.

    Wilson's idea with Hanley & McNeil's variance (Newcombe 2006, part 2, method 5): a share of 0 or 1 has limits too.
    """
    z = stats.norm.isf((1 - level) / 2)
    share = np.asarray(share, dtype=np.float64)

    def excess(probability: np.ndarray, share: np.ndarray) -> np.ndarray:
        return (share - probability) ** 2 - z**2 * _variance(probability, n_a, n_b)

    # Negative between the limits, positive beyond them; at a share of 0 or 1, which is a limit then, 0 too.
    inside = np.clip(share, _INSIDE, 1 - _INSIDE)
    low = elementwise.find_root(excess, (np.zeros_like(share), inside), args=(share,)).x
    high = elementwise.find_root(excess, (inside, np.ones_like(share)), args=(share,)).x
    return Interval(np.where(share > 0, low, 0.0), np.where(share < 1, high, 1.0))


def resampled(a: np.ndarray, b: np.ndarray, level: float, resamples: int = RESAMPLES) -> Interval:
    """Returns the percentile interval of P(A > B) from resampled seeds."""
    return bootstrap((a, b), wins, level, method="percentile", paired=True, resamples=resamples)


def _variance(probability: np.ndarray, n_a: int, n_b: int) -> np.ndarray:
    """The variance of the share for two exponential distributions that give this probability."""
    more = (n_a + n_b) / 2 - 1
    spread = 1 + more * (1 - probability) / (2 - probability) + more * probability / (1 + probability)
    return probability * (1 - probability) * spread / (n_a * n_b)


def _halves(differences: np.ndarray) -> np.ndarray:
    """1 where positive, 0 where negative, 0.5 where 0."""
    return (np.sign(differences) + 1) / 2
