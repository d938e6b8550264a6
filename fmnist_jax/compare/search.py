"""The trials by which an arm is tuned: its defaults, then quasi-random points of its search space.

Quasi-random points leave no part of the space out, and find good settings in fewer runs than random ones do (Bousquet
et al. 2017, "Critical Hyper-Parameters: No Random, No Cry").
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from scipy.stats import qmc

from fmnist_jax import optim
from fmnist_jax.compare.arms import Arm
from fmnist_jax.optim import Hyperparameter


def trial_settings(arm: Arm, trials: int, search: str, seed: int) -> list[dict[str, float]]:
    """Returns the hyperparameters of each trial; the first is the arm's defaults.

    An arm with nothing to search has that one only: to repeat it would choose among seeds.

    **Arguments:**

    - `search`: `"halton"` or `"sobol"`, both scrambled.
    - `seed`: of the scrambling; the same settings for the same arm and seed.
    """
    space = arm.space()
    points = _points(search, len(space), trials - 1, seed) if space else np.empty((0, 0))
    return [arm.defaults(), *(_setting(arm, space, point) for point in points)]


def _points(search: str, dimensions: int, count: int, seed: int) -> np.ndarray:
    """`float64[count, dimensions]` in (0, 1)."""
    rng = np.random.default_rng(seed)
    if search == "halton":
        return qmc.Halton(dimensions, rng=rng).random(count)
    # Sobol's points are balanced in powers of two only, so that the first of the next power are taken.
    return qmc.Sobol(dimensions, rng=rng).random_base2(max(count - 1, 0).bit_length())[:count]


def _setting(arm: Arm, space: Mapping[str, Hyperparameter], point: np.ndarray) -> dict[str, float]:
    found = {key: _value(entry, float(share)) for (key, entry), share in zip(space.items(), point, strict=True)}
    return optim.resolve(arm.optimizer, {**arm.fixed, **found})


def _value(entry: Hyperparameter, share: float) -> float:
    """The value at that share of the way from `low` to `high`, on the entry's scale, in seven digits: a float32's."""
    if entry.scale == "linear":
        value = _between(entry.low, entry.high, share)
    elif entry.scale == "log":
        value = math.exp(_between(math.log(entry.low), math.log(entry.high), share))
    else:
        value = 1 - math.exp(_between(math.log(1 - entry.low), math.log(1 - entry.high), share))
    return float(f"{value:.7g}")


def _between(low: float, high: float, share: float) -> float:
    return low + share * (high - low)
