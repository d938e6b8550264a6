"""How often a true difference is found that is as large as a study of this size is said to find."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import numpy as np

from fmnist_jax.calibration.cells import ALPHA, LEVEL, SEEDS, Cell, Simulation
from fmnist_jax.calibration.noise import NOISES, Noise
from fmnist_jax.compare.statistics.intervals import student_t
from fmnist_jax.compare.statistics.permutation import sign_flip_test
from fmnist_jax.compare.statistics.power import POWER, detectable

KNOWN = "at the minimum detectable difference"
STATED = "at the difference that another such study states"

Test = Callable[[np.ndarray], np.ndarray]


def cells() -> Iterator[Cell]:
    """Yields the cells of the section."""
    for noise, n in itertools.product(NOISES, SEEDS):
        for quantity, stated in ((KNOWN, False), (STATED, True)):
            for method, share, test in (("t-test", 1.0, _t_test), ("sign flips", 0.25, _sign_flips)):
                simulate = _found(noise, n, stated, test)
                yield Cell("power", quantity, method, noise.name, n, POWER, share, simulate)


def _found(noise: Noise, n: int, stated: bool, test: Test) -> Simulation:
    """Whether the difference is found: that of the true standard deviation, or of one estimated from another study."""

    def simulate(rng: np.random.Generator, studies: int) -> np.ndarray:
        deviation = noise.draw(rng, studies, n).std(-1, ddof=1) if stated else np.full(studies, noise.deviation)
        scores = noise.draw(rng, studies, n) - noise.mean
        return test(scores + detectable(n, ALPHA) * deviation[:, None])

    return simulate


def _t_test(differences: np.ndarray) -> np.ndarray:
    low, high = student_t(differences, LEVEL)
    return (low > 0) | (high < 0)


def _sign_flips(differences: np.ndarray) -> np.ndarray:
    return np.array([sign_flip_test(row) <= ALPHA for row in differences])
