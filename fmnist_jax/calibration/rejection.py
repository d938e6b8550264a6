"""How often the tests find a difference where there is none."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from fmnist_jax.calibration.cells import ALPHA, SEEDS, Cell, Simulation
from fmnist_jax.calibration.noise import NOISES, SKEWED, Noise, arms
from fmnist_jax.calibration.times import draw_runs
from fmnist_jax.compare.statistics.multiplicity import holm
from fmnist_jax.compare.statistics.permutation import sign_flip_test
from fmnist_jax.compare.statistics.survival import log_rank

FAMILY = 4


def cells() -> Iterator[Cell]:
    """Yields the cells of the section."""
    for noise, n in itertools.product(NOISES, SEEDS):
        for quantity, method, share, simulate in (
            ("two arms alike", "sign flips", 1.0, _family(noise, n, 2)),
            (f"{FAMILY} arms alike, any pair", "sign flips, Holm", 0.25, _family(noise, n, FAMILY)),
            ("two arms alike, time to target", "log-rank", 0.1, _times(noise, n)),
        ):
            yield Cell("rejection", quantity, method, noise.name, n, ALPHA, share, simulate)
    for n in SEEDS:
        quantity = "two arms of equal mean, one of them without noise"
        yield Cell("rejection", quantity, "sign flips", SKEWED.name, n, ALPHA, 1.0, _unlike(n))


def _family(noise: Noise, n: int, count: int) -> Simulation:
    def simulate(rng: np.random.Generator, studies: int) -> np.ndarray:
        return np.array([_any_rejected(scores) for scores in arms(noise, rng, studies, count, n)])

    return simulate


def _any_rejected(scores: np.ndarray) -> bool:
    p_values = [sign_flip_test(a - b) for a, b in itertools.combinations(scores, 2)]
    return bool((holm(p_values) <= ALPHA).any())


def _unlike(n: int) -> Simulation:
    """Of equal mean but not of equal distribution, so that the test is not exact."""

    def simulate(rng: np.random.Generator, studies: int) -> np.ndarray:
        differences = SKEWED.draw(rng, studies, n) - SKEWED.mean
        return np.array([sign_flip_test(row) <= ALPHA for row in differences])

    return simulate


def _times(noise: Noise, n: int) -> Simulation:
    def simulate(rng: np.random.Generator, studies: int) -> np.ndarray:
        p_values = [log_rank(draw_runs(noise, rng, n), draw_runs(noise, rng, n)) for _ in range(studies)]
        return np.array(p_values) <= ALPHA

    return simulate
