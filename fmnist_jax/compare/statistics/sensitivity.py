"""How carefully a learning rate has to be set: the score as a function of it, and the width of its plateau."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from fmnist_jax.compare.statistics.samples import as_pairs

TOLERANCE = 0.005
# Points of the learning rate at which the curve is held against the best.
_POINTS = 10_001


class Sensitivity(NamedTuple):
    """The score against the learning rate.

    **Attributes:**

    - `rates`, `scores`: the curve's corners `(bins,)`, ascending in the rate, straight lines in log rate between them.
    - `best_rate`: the rate of the best trial.
    - `decades`: how many decades of the searched range the curve is within the tolerance of the best score.
    - `share`: the same as a share of the range.
    """

    rates: np.ndarray
    scores: np.ndarray
    best_rate: float
    decades: float
    share: float


def learning_rate_sensitivity(
    rates: Iterable[float], scores: Iterable[float], low: float, high: float, tolerance: float = TOLERANCE
) -> Sensitivity:
    """Returns how the score depends on the rate, from trials within the searched range `low` to `high`.

    The range is cut into equal bins of log rate, one for each three trials (five at least), and the curve goes through
    the best trial of each bin: what the rate allows when the other hyperparameters, tuned along, are well set. Outside
    the outermost trials nothing is known, and nothing counts as within the tolerance (0.005: half a point of accuracy).

    **Raises:** `ValueError` where there is no trial, a score is not finite, or a rate is outside the range.
    """
    tried, found = as_pairs(rates, scores)
    if not (0 < low < high and tried.min() >= low and tried.max() <= high):
        raise ValueError(f"learning rates lie within the searched range, {low} to {high}, which lies over 0")
    corners = _best_of_bins(np.log10(tried), found, math.log10(low), math.log10(high))
    places, best = np.log10(tried[corners]), found[corners]
    grid = np.linspace(math.log10(low), math.log10(high), _POINTS)
    curve = np.interp(grid, places, best, left=-np.inf, right=-np.inf)
    share = float(np.mean(curve >= best.max() - tolerance))
    return Sensitivity(tried[corners], best, float(tried[found.argmax()]), float(share * (grid[-1] - grid[0])), share)


def _best_of_bins(places: np.ndarray, scores: np.ndarray, low: float, high: float) -> np.ndarray:
    """The best trial of each bin that has one, ascending in the rate."""
    count = max(math.ceil(len(places) / 3), 5)
    bins = np.minimum((count * (places - low) / (high - low)).astype(int), count - 1)
    # By bin, then by score: the last of each bin is its best.
    order = np.lexsort((scores, bins))
    last = np.append(bins[order][1:] != bins[order][:-1], True)
    return order[last]
