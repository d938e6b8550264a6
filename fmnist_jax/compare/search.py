"""The settings that the trials of an arm try: its defaults, then quasi-random points of its search space.

These cover the space more evenly than random points and find good settings in fewer runs (Bousquet et al. 2017,
"Critical Hyper-Parameters: No Random, No Cry").
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from ml_collections import ConfigDict
from scipy.stats import qmc

from fmnist_jax import optim
from fmnist_jax.compare.arms import Arm
from fmnist_jax.compare.config import CHOICES
from fmnist_jax.optim import Hyperparameter


class Setting(NamedTuple):
    """What a trial tries; `batch_size` and `warmup` are `None` where they are those of the config."""

    hyperparameters: Mapping[str, float]
    batch_size: int | None = None
    warmup: str | None = None


def search_space(arm: Arm, config: ConfigDict) -> dict[str, Hyperparameter]:
    """Returns the ranges in which the arm is searched, without what the config gives a list of choices for."""
    listed = choices(arm, config)
    return {key: entry for key, entry in arm.space().items() if key not in listed}


def choices(arm: Arm, config: ConfigDict) -> dict[str, Sequence[Any]]:
    """Returns the values to choose from of what is searched in a list: `batch_size`, `warmup`, `weight_decay`."""
    found = {name: config.study[key] for name, key in CHOICES.items()}
    return {name: values for name, values in found.items() if values and name not in arm.fixed}


def trial_settings(arm: Arm, config: ConfigDict) -> list[Setting]:
    """Returns the settings of each trial; the first is the arm's defaults.

    An arm with nothing to search has that one only: repeating it would select a seed. The same arm and config give the
    same settings, which do not depend on the number of trials.
    """
    space, listed, study = search_space(arm, config), choices(arm, config), config.study
    dimensions, settings = len(space) + len(listed), [Setting(arm.defaults())]
    for point in _points(study.search, dimensions, study.trials - 1, config.seed) if dimensions else ():
        shares = iter(map(float, point))
        found = {key: _value(entry, next(shares)) for key, entry in space.items()}
        chosen = {key: values[int(next(shares) * len(values))] for key, values in listed.items()}
        if "weight_decay" in chosen:
            found["weight_decay"] = chosen.pop("weight_decay")
        settings.append(Setting(optim.resolve(arm.optimizer, {**arm.fixed, **found}), **chosen))
    return settings


def _points(search: str, dimensions: int, count: int, seed: int) -> np.ndarray:
    """`float64[count, dimensions]` in (0, 1)."""
    rng = np.random.default_rng(seed)
    if search == "halton":
        return qmc.Halton(dimensions, rng=rng).random(count)
    # Sobol points are balanced in powers of two only: draw the next power and take the first ones.
    return qmc.Sobol(dimensions, rng=rng).random_base2(max(count - 1, 0).bit_length())[:count]


def _value(entry: Hyperparameter, share: float) -> float:
    """The value at `share` of the way from `low` to `high` on the entry's scale, in the seven digits of a float32."""
    if entry.scale == "linear":
        value = _between(entry.low, entry.high, share)
    elif entry.scale == "log":
        value = math.exp(_between(math.log(entry.low), math.log(entry.high), share))
    else:
        value = 1 - math.exp(_between(math.log(1 - entry.low), math.log(1 - entry.high), share))
    return float(f"{value:.7g}")


def _between(low: float, high: float, share: float) -> float:
    return low + share * (high - low)
