"""Noise between seeds of known mean, median and so on; its unit is the seeds' standard deviation (say 0.25 points)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy import integrate, special

# A failed run scores what chance does: 80 points below one that did not fail.
_FAILURES = 0.02
_DEPTH = 320.0


class Noise(NamedTuple):
    """A distribution by its quantile function, on arrays of probabilities, with its mean and standard deviation."""

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

    def restricted(self, lowest: float, of: Callable[[np.ndarray], np.ndarray]) -> float:
        """Returns the expectation of `of`, a decreasing function, of a draw or of `lowest`, whichever is greater."""
        return self._integral(lambda u: of(np.maximum(self.quantile(np.array(u)), lowest)), 0.0, 1.0)

    def _integral(self, of: Callable[[float], np.ndarray], low: float, high: float) -> float:
        # In halves at the failures, where there may be a step.
        middle = min(max(_FAILURES, low), high)
        parts = (integrate.quad(of, *ends, limit=200)[0] for ends in ((low, middle), (middle, high)))
        return float(sum(parts))


def _failing(probability: np.ndarray) -> np.ndarray:
    others = special.ndtri(np.maximum(probability - _FAILURES, 0) / (1 - _FAILURES))
    return np.where(probability < _FAILURES, -_DEPTH, others)


_VARIANCE_OF_FAILING = (1 - _FAILURES) * (1 + _FAILURES * _DEPTH**2)

NORMAL = Noise("normal", "normal", special.ndtri, 0.0, 1.0)
SKEWED = Noise("skewed", "exponential, its tail toward the low scores", np.log, -1.0, 1.0)
HEAVY = Noise("heavy-tailed", "Student's t with 3 degrees of freedom", lambda u: special.stdtrit(3, u), 0.0, 3**0.5)
FAILING = Noise(
    "failing",
    "normal, but 1 run in 50 fails and scores what chance does",
    _failing,
    -_FAILURES * _DEPTH,
    math.sqrt(_VARIANCE_OF_FAILING),
)
NOISES = (NORMAL, SKEWED, HEAVY, FAILING)
SHARED = 0.5


def arms(
    noise: Noise, rng: np.random.Generator, studies: int, count: int, n: int, shared: float = SHARED
) -> np.ndarray:
    """Returns scores `(studies, count, n)` of arms that do not differ, on the same n seeds.

    The share `shared` of the variance is the seeds', normal and common to the arms; the rest is each run's own noise.
    """
    common = rng.normal(size=(studies, 1, n))
    own = noise.draw(rng, studies, count, n)
    return math.sqrt(shared) * common + math.sqrt(1 - shared) * own
