"""What the finite test set leaves open, apart from what the seeds do: with other images the score would differ too."""

from __future__ import annotations

import numpy as np
from scipy import stats

from fmnist_jax.compare.statistics.estimates import Estimate, estimate_of
from fmnist_jax.compare.statistics.intervals import Interval, around
from fmnist_jax.compare.statistics.samples import LEVEL, check_share


def sampling_uncertainty(accuracy: float, examples: int, level: float = LEVEL) -> Estimate:
    """Returns the accuracy with Wilson's interval: what a network so good scores on other test sets of this size.

    For one network; for the mean over seeds it is about right too, since they err on nearly the same images. Comparing
    arms on one test set, which they share, it is not to be added to the interval over seeds: it says how far the
    accuracies, not their difference, would move.

    **Raises:** `ValueError` unless 0 <= accuracy <= 1 and there is an example.
    """
    if not (0 <= accuracy <= 1 and examples >= 1):
        raise ValueError(
            f"an accuracy lies between 0 and 1 and is of one or more examples, not {accuracy} of {examples}"
        )
    check_share("level", level)
    return estimate_of(accuracy, wilson(accuracy, examples, level), level, "wilson")


def wilson(share: float | np.ndarray, n: int | np.ndarray, level: float) -> Interval:
    """Returns the score interval of a probability from the share of n trials (Wilson 1927); shapes broadcast."""
    z = stats.norm.isf((1 - level) / 2)
    share, n = np.asarray(share, dtype=np.float64), np.asarray(n)
    weight = 1 + z**2 / n
    center = (share + z**2 / (2 * n)) / weight
    half_width = z * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2)) / weight
    low, high = around(center, half_width)
    return Interval(np.clip(low, 0, share), np.clip(high, share, 1))
