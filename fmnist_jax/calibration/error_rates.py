"""How often the tests reject: without a difference, and at the minimum detectable effect."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import numpy as np

from fmnist_jax.calibration import simulation
from fmnist_jax.calibration.simulation import ALPHA, LEVEL, NOISES, SEEDS, SKEWED, Cell, Noise, Simulation
from fmnist_jax.compare.statistics.hypothesis_tests import POWER, detectable_effect_size, holm, permutation_test
from fmnist_jax.compare.statistics.intervals import student_t

FAMILY = 4
PERMUTATION = "permutation test"
KNOWN = "at the minimum detectable difference"
ESTIMATED = "at the difference that another such study states"


def rejection_cells() -> Iterator[Cell]:
    """Yields the cells of the false positive rate."""
    for noise, n in itertools.product(NOISES, SEEDS):
        for quantity, method, share, arms in (
            ("two arms alike", PERMUTATION, 1.0, 2),
            (f"{FAMILY} arms alike, any pair", f"{PERMUTATION}, Holm-adjusted", 0.25, FAMILY),
        ):
            yield Cell("rejection", quantity, method, noise.name, n, ALPHA, share, _false_positives(noise, n, arms))
    for n in SEEDS:
        quantity = "two arms of equal mean, one of them without noise"
        yield Cell("rejection", quantity, PERMUTATION, SKEWED.name, n, ALPHA, 1.0, _equal_means(n))


def power_cells() -> Iterator[Cell]:
    """Yields the cells of the power."""
    for noise, n in itertools.product(NOISES, SEEDS):
        for quantity in (KNOWN, ESTIMATED):
            for method, share, test in (("t-test", 1.0, _t_test), (PERMUTATION, 0.25, _permutation_tests)):
                simulate = _detections(noise, n, test, estimated=quantity == ESTIMATED)
                yield Cell("power", quantity, method, noise.name, n, POWER, share, simulate)


def _false_positives(noise: Noise, n: int, arms: int) -> Simulation:
    def simulate(rng: np.random.Generator, studies: int) -> np.ndarray:
        families = (
            [permutation_test(a - b) for a, b in itertools.combinations(scores, 2)]
            for scores in simulation.draw_arms(noise, rng, studies, arms, n)
        )
        return np.array([(holm(p_values) <= ALPHA).any() for p_values in families])

    return simulate


def _equal_means(n: int) -> Simulation:
    """Equal means but different distributions, where the permutation test is not exact."""
    return lambda rng, studies: _permutation_tests(SKEWED.draw(rng, studies, n) - SKEWED.mean)


def _detections(noise: Noise, n: int, test: Callable[[np.ndarray], np.ndarray], *, estimated: bool) -> Simulation:
    """Tests a true difference of the minimum detectable effect, from the true or another study's standard deviation."""

    def simulate(rng: np.random.Generator, studies: int) -> np.ndarray:
        deviation = noise.draw(rng, studies, n).std(-1, ddof=1) if estimated else np.full(studies, noise.deviation)
        centered = noise.draw(rng, studies, n) - noise.mean
        return test(centered + detectable_effect_size(n, ALPHA) * deviation[:, None])

    return simulate


def _t_test(differences: np.ndarray) -> np.ndarray:
    low, high = student_t(differences, LEVEL)
    return (low > 0) | (high < 0)


def _permutation_tests(differences: np.ndarray) -> np.ndarray:
    return np.array([permutation_test(row) <= ALPHA for row in differences])
