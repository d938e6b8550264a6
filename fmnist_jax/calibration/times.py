"""Simulated times to a target: log-normal for normal noise, the low scores slow, some runs not there by the end."""

from __future__ import annotations

import numpy as np

from fmnist_jax.calibration.noise import Noise
from fmnist_jax.compare.statistics.survival import Times

# So many runs have not reached the target when the budget ends.
_MISSED = 0.3


def time_of(score: np.ndarray) -> np.ndarray:
    """Returns the time to target of a run whose score is so far off the usual: the lower it is, the longer."""
    return np.exp(-score / 4)


def horizon_of(noise: Noise) -> float:
    """Returns the budget, by which 70 in 100 runs have reached the target."""
    return float(time_of(noise.quantile(np.array(_MISSED))))


def restricted_mean_of(noise: Noise) -> float:
    """Returns the true mean of the time to target or to the end of the budget, whichever comes first."""
    return noise.restricted(float(noise.quantile(np.array(_MISSED))), time_of)


def draw_runs(noise: Noise, rng: np.random.Generator, n: int, *, stopped_early: bool = False) -> Times:
    """Returns an arm's runs; `stopped_early` stops each at a random time of its own, half to one and a half budgets."""
    times = time_of(noise.draw(rng, n))
    budget = horizon_of(noise)
    ends = budget * rng.uniform(0.5, 1.5, n) if stopped_early else np.full(n, budget)
    return Times(np.minimum(times, ends), times <= ends)
