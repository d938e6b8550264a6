"""The probability that a run of A scores better than a run of B; a tie counts half."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from scipy import stats
from scipy.optimize import elementwise

from fmnist_jax.compare.statistics.estimates import LEVEL, Estimate, as_sample, check_fraction, estimate_of
from fmnist_jax.compare.statistics.intervals import Interval

_INSIDE = 1e-12


def probability_of_improvement(a: Iterable[float], b: Iterable[float], level: float = LEVEL) -> Estimate:
    """Returns P(A > B) over all pairs of a run of A with a run of B, with Newcombe's interval.

    Mann and Whitney's U over its maximum (Agarwal et al. 2021, section 4.3). The interval is for independent runs, and
    conservative where the scores of a seed are correlated.

    **Raises:** `ValueError` for no value or one that is not finite.
    """
    first, second = as_sample(a), as_sample(b)
    check_fraction("level", level)
    proportion = wins(first, second)
    interval = newcombe(proportion, len(first), len(second), level)
    return estimate_of(float(proportion), interval, level, "newcombe")


def wins(a: np.ndarray, b: np.ndarray, axis: int = -1) -> np.ndarray:
    """Returns the proportion of pairs, one value of `a` and one of `b` along the axis, in which `a` is greater."""
    first, second = np.moveaxis(a, axis, -1), np.moveaxis(b, axis, -1)
    won = (np.sign(first[..., :, None] - second[..., None, :]) + 1) / 2
    return won.mean((-2, -1))


def newcombe(proportion: np.ndarray, n_a: int, n_b: int, level: float) -> Interval:
    """Returns the limits of P(A > B) from the proportion of pairs won, of any shape, for n_a and n_b independent runs.

    A score interval with Hanley & McNeil's variance (Newcombe 2006, part 2, method 5), of positive width at 0 and 1.
    """
    z = stats.norm.isf((1 - level) / 2)
    proportion = np.asarray(proportion, dtype=np.float64)

    def excess(probability: np.ndarray, proportion: np.ndarray) -> np.ndarray:
        # The variance of the proportion for two exponential distributions that give this probability.
        others = (n_a + n_b) / 2 - 1
        terms = 1 + others * (1 - probability) / (2 - probability) + others * probability / (1 + probability)
        variance = probability * (1 - probability) * terms / (n_a * n_b)
        return (proportion - probability) ** 2 - z**2 * variance

    # Negative between the limits and positive beyond; 0 at a proportion of 0 or 1, which is itself a limit.
    inside = np.clip(proportion, _INSIDE, 1 - _INSIDE)
    low = elementwise.find_root(excess, (np.zeros_like(proportion), inside), args=(proportion,)).x
    high = elementwise.find_root(excess, (inside, np.ones_like(proportion)), args=(proportion,)).x
    return Interval(np.where(proportion > 0, low, 0.0), np.where(proportion < 1, high, 1.0))
