"""Simulated studies of known truth: noise over seeds, times to a target, and the rate of an outcome over studies."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy import integrate, special

from fmnist_jax.compare.statistics.survival import Times

LEVEL = 0.95
ALPHA = 0.05
SEEDS = (3, 5, 10, 20)
# A failed run scores chance accuracy: 80 points below the others, if their standard deviation is 0.25 points.
_FAILURES = 0.02
_DEPTH = 320.0
# The share of the variance that the arms have in common, and of the runs that miss the target within the budget.
SHARED = 0.5
_MISSED = 0.3

Simulation = Callable[[np.random.Generator, int], np.ndarray]


class Cell(NamedTuple):
    """One method on one kind of noise and number of seeds.

    **Attributes:**

    - `section`: what the rate is of: `"rejection"`, `"coverage"` or `"power"`.
    - `quantity`, `method`, `noise`, `n`: what is estimated or tested, how, under which noise, from how many seeds.
    - `nominal`: the rate that it should have.
    - `share`: the fraction of the studies to simulate, less than 1 for slow methods.
    - `simulate`: `simulate(rng, studies)` returns whether each study rejected or covered, bool `(studies,)`.
    """

    section: str
    quantity: str
    method: str
    noise: str
    n: int
    nominal: float
    share: float
    simulate: Simulation


def measure(cell: Cell, studies: int) -> dict[str, Any]:
    """Returns the cell's row of the record: its rate over the studies, with the Monte Carlo standard error.

    The seed depends on all but the method, so that methods for one quantity see the same draws.
    """
    count = max(2, round(studies * cell.share))
    key = zlib.crc32(f"{cell.section}/{cell.quantity}/{cell.noise}/{cell.n}".encode())
    rate = float(cell.simulate(np.random.default_rng(key), count).mean())
    row = cell._asdict()
    del row["simulate"], row["share"]
    return row | {"studies": count, "rate": rate, "standard_error": float(np.sqrt(rate * (1 - rate) / count))}


def in_batches(simulate: Simulation, size: int) -> Simulation:
    """Returns the simulation run in batches of at most `size` studies, to bound its memory."""

    def batched(rng: np.random.Generator, studies: int) -> np.ndarray:
        return np.concatenate([simulate(rng, min(size, studies - start)) for start in range(0, studies, size)])

    return batched


class Noise(NamedTuple):
    """A distribution by its quantile function, which takes arrays of probabilities."""

    name: str
    summary: str
    quantile: Callable[[np.ndarray], np.ndarray]
    mean: float
    deviation: float

    def draw(self, rng: np.random.Generator, *shape: int) -> np.ndarray:
        """Returns independent draws of the shape."""
        return self.quantile(rng.random(shape))

    @property
    def median(self) -> float:
        """The median."""
        return float(self.quantile(np.array(0.5)))

    @property
    def iqm(self) -> float:
        """The mean of the middle half."""
        return 2 * self._integral(lambda u: self.quantile(np.array(u)), 0.25, 0.75)

    def best_of(self, k: int) -> float:
        """Returns the expectation of the greatest of k draws."""
        return self._integral(lambda u: self.quantile(np.array(u)) * k * u ** (k - 1), 0.0, 1.0)

    @property
    def horizon(self) -> float:
        """The budget within which 70 % of the runs reach the target."""
        return float(time_of(self.quantile(np.array(_MISSED))))

    @property
    def restricted_mean(self) -> float:
        """The mean of the time to target or to the end of the budget, whichever is first."""
        return self._integral(lambda u: np.minimum(time_of(self.quantile(np.array(u))), self.horizon), 0.0, 1.0)

    def _integral(self, integrand: Callable[[float], np.ndarray], low: float, high: float) -> float:
        # In two parts, since failures make a step.
        middle = min(max(_FAILURES, low), high)
        parts = (integrate.quad(integrand, *ends, limit=200)[0] for ends in ((low, middle), (middle, high)))
        return float(sum(parts))


def _failing(probability: np.ndarray) -> np.ndarray:
    others = special.ndtri(np.maximum(probability - _FAILURES, 0) / (1 - _FAILURES))
    return np.where(probability < _FAILURES, -_DEPTH, others)


NORMAL = Noise("normal", "normal", special.ndtri, 0.0, 1.0)
SKEWED = Noise("skewed", "exponential, with the tail toward low scores", np.log, -1.0, 1.0)
HEAVY = Noise("heavy-tailed", "Student's t with 3 degrees of freedom", lambda u: special.stdtrit(3, u), 0.0, 3**0.5)
FAILING = Noise(
    "failing",
    "normal, but 1 run in 50 fails and scores chance accuracy",
    _failing,
    -_FAILURES * _DEPTH,
    math.sqrt((1 - _FAILURES) * (1 + _FAILURES * _DEPTH**2)),
)
NOISES = (NORMAL, SKEWED, HEAVY, FAILING)


def draw_arms(
    noise: Noise, rng: np.random.Generator, studies: int, count: int, n: int, shared: float = SHARED
) -> np.ndarray:
    """Returns scores `(studies, count, n)` of arms without a difference, on the same n seeds.

    The fraction `shared` of the variance is normal and common to the arms of a seed; the rest is each run's own noise.
    """
    common = rng.normal(size=(studies, 1, n))
    own = noise.draw(rng, studies, count, n)
    return math.sqrt(shared) * common + math.sqrt(1 - shared) * own


def time_of(score: np.ndarray) -> np.ndarray:
    """Returns a run's time to target: the lower its score, the longer; log-normal for normal noise."""
    return np.exp(-score / 4)


def draw_times(noise: Noise, rng: np.random.Generator, n: int, *, stopped_early: bool = False) -> Times:
    """Returns an arm's times to target; `stopped_early` censors each run at 0.5 to 1.5 budgets, at random."""
    times = time_of(noise.draw(rng, n))
    ends = noise.horizon * rng.uniform(0.5, 1.5, n) if stopped_early else np.full(n, noise.horizon)
    return Times(np.minimum(times, ends), times <= ends)
