"""How often the intervals cover what they are of."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator

import numpy as np
from scipy import stats

from fmnist_jax.calibration.cells import LEVEL, SEEDS, Cell, Simulation, in_parts
from fmnist_jax.calibration.noise import NOISES, NORMAL, SHARED, Noise, arms
from fmnist_jax.calibration.times import draw_runs, horizon_of, restricted_mean_of, time_of
from fmnist_jax.compare.statistics import estimates, intervals, superiority, tuning
from fmnist_jax.compare.statistics.intervals import Interval
from fmnist_jax.compare.statistics.power import detectable, minimum_detectable_difference
from fmnist_jax.compare.statistics.resampling import bootstrap
from fmnist_jax.compare.statistics.sampling import wilson
from fmnist_jax.compare.statistics.survival import kaplan_meier, restricted_mean

# Fewer resamples than a report draws: of the level of an interval they cost nothing to speak of.
_RESAMPLES = 999
_BOOTSTRAP = ("BCa", "percentile")
_FEWER = 0.1
_TRIALS = 20
_TEST_SET = 10_000
_ACCURACY = 0.91

Draw = Callable[[np.random.Generator, int], np.ndarray]
Limits = Callable[[np.ndarray], Interval]


def cells() -> Iterator[Cell]:
    """Yields the cells of the section."""
    for noise, n in itertools.product(NOISES, SEEDS):
        yield from _centers(noise, n)
        yield from _differences(noise, n)
        yield from _improvements(noise, n)
        yield from _times(noise, n)
    for n in SEEDS:
        yield from _clear_improvements(n)
        yield _cell("minimum detectable difference", "noncentral t", NORMAL.name, n, _FEWER, _detectable(n))
    for noise, k, method in itertools.product(NOISES, (1, 3, 5, 10, 15), tuning.BANDS):
        simulate = in_parts(_expected_best(noise, k, method), 100)
        yield _cell(f"expected best of {k} trials", method, noise.name, _TRIALS, _FEWER / 2, simulate)
    yield _cell("accuracy on other test sets", "wilson", "binomial", _TEST_SET, 1.0, _test_sets)


def _cell(quantity: str, method: str, noise: str, n: int, share: float, simulate: Simulation) -> Cell:
    return Cell("coverage", quantity, method, noise, n, LEVEL, share, simulate)


def _covered(draw: Draw, limits: Limits, truth: float) -> Simulation:
    def simulate(rng: np.random.Generator, studies: int) -> np.ndarray:
        low, high = limits(draw(rng, studies))
        return (low <= truth) & (truth <= high)

    return simulate


def _resampled(statistic: Callable[..., np.ndarray], method: str) -> Limits:
    return lambda values: bootstrap((values,), statistic, LEVEL, method=method, resamples=_RESAMPLES)


def _centers(noise: Noise, n: int) -> Iterator[Cell]:
    """The mean's, the median's and the interquartile mean's intervals."""

    def draw(rng: np.random.Generator, studies: int) -> np.ndarray:
        return noise.draw(rng, studies, n)

    for quantity, truth, methods, statistic in (
        ("mean", noise.mean, estimates.MEAN_METHODS, estimates.mean_of),
        ("median", noise.median, estimates.MEDIAN_METHODS, estimates.median_of),
        ("IQM", noise.iqm, estimates.IQM_METHODS, estimates.iqm_of),
    ):
        for name, method in methods.items():
            resampling = name in _BOOTSTRAP
            limits = _resampled(statistic, name) if resampling else _by(method)
            share = _FEWER if resampling else 1.0
            yield _cell(quantity, name, noise.name, n, share, _covered(draw, limits, truth))


def _by(method: estimates.Method) -> Limits:
    return lambda values: method(values, LEVEL)


def _differences(noise: Noise, n: int) -> Iterator[Cell]:
    """The paired difference of two arms that do not differ."""

    def draw(rng: np.random.Generator, studies: int) -> np.ndarray:
        scores = arms(noise, rng, studies, 2, n)
        return scores[:, 0] - scores[:, 1]

    student = _covered(draw, _by(intervals.student_t), 0.0)
    yield _cell("paired difference", "t", noise.name, n, 1.0, student)
    for method in _BOOTSTRAP:
        simulate = _covered(draw, _resampled(estimates.mean_of, method), 0.0)
        yield _cell("paired difference", method, noise.name, n, _FEWER, simulate)


def _newcombe(scores: np.ndarray) -> Interval:
    a, b = scores[:, 0], scores[:, 1]
    return superiority.newcombe(superiority.wins(a, b), a.shape[-1], b.shape[-1], LEVEL)


def _percentile(scores: np.ndarray) -> Interval:
    return superiority.resampled(scores[:, 0], scores[:, 1], LEVEL, resamples=_RESAMPLES)


def _same_seed(scores: np.ndarray) -> Interval:
    return wilson(superiority.wins_of_pairs(scores[:, 0], scores[:, 1]), scores.shape[-1], LEVEL)


def _improvements(noise: Noise, n: int) -> Iterator[Cell]:
    """P(A > B) of two arms that do not differ, on seeds of their own and on the same."""
    for quantity, shared in (("P(A > B) = 0.5, seeds apart", 0.0), ("P(A > B) = 0.5", SHARED)):
        yield _cell(quantity, "newcombe", noise.name, n, _FEWER, _of_pairs(noise, n, shared, 0.0, _newcombe, 0.5))
        resampled = in_parts(_of_pairs(noise, n, shared, 0.0, _percentile, 0.5), 50)
        yield _cell(quantity, "percentile", noise.name, n, _FEWER / 2, resampled)
    simulate = _of_pairs(noise, n, SHARED, 0.0, _same_seed, 0.5)
    yield _cell("P(A > B on the same seed) = 0.5", "wilson", noise.name, n, 1.0, simulate)


def _clear_improvements(n: int) -> Iterator[Cell]:
    """P(A > B) where A is clearly better."""
    apart, same = math.sqrt(2) * stats.norm.ppf(0.9), math.sqrt(2 * (1 - SHARED)) * stats.norm.ppf(0.9)
    for quantity, method, shared, shift, limits in (
        ("P(A > B) = 0.9, seeds apart", "newcombe", 0.0, apart, _newcombe),
        ("P(A > B) = 0.9", "newcombe", SHARED, apart, _newcombe),
        ("P(A > B) = 0.9", "percentile", SHARED, apart, _percentile),
        ("P(A > B on the same seed) = 0.9", "wilson", SHARED, same, _same_seed),
    ):
        simulate = in_parts(_of_pairs(NORMAL, n, shared, shift, limits, 0.9), 50)
        yield _cell(quantity, method, NORMAL.name, n, _FEWER / 2, simulate)


def _of_pairs(noise: Noise, n: int, shared: float, shift: float, limits: Limits, truth: float) -> Simulation:
    def draw(rng: np.random.Generator, studies: int) -> np.ndarray:
        return arms(noise, rng, studies, 2, n, shared) + np.array([[shift], [0.0]])

    return _covered(draw, limits, truth)


def _times(noise: Noise, n: int) -> Iterator[Cell]:
    """The restricted mean time to target, and the share of runs that have reached it by the median time."""
    yield _cell("restricted mean time", "greenwood-t", noise.name, n, _FEWER, _restricted(noise, n))
    for quantity, early in (("share of runs at target", False), ("share of runs at target, some stopped early", True)):
        yield _cell(quantity, "kaplan-meier, wilson", noise.name, n, _FEWER, _share_reached(noise, n, early))


def _restricted(noise: Noise, n: int) -> Simulation:
    truth, horizon = restricted_mean_of(noise), horizon_of(noise)

    def simulate(rng: np.random.Generator, studies: int) -> np.ndarray:
        found = [restricted_mean(draw_runs(noise, rng, n), horizon, LEVEL) for _ in range(studies)]
        return np.array([estimate.low <= truth <= estimate.high for estimate in found])

    return simulate


def _share_reached(noise: Noise, n: int, early: bool) -> Simulation:
    median = float(time_of(np.array(noise.median)))

    def covered(rng: np.random.Generator) -> bool:
        curve = kaplan_meier(draw_runs(noise, rng, n, stopped_early=early), LEVEL)
        last = np.searchsorted(curve.times, median, side="right") - 1
        low, high = (curve.low[last], curve.high[last]) if last >= 0 else wilson(0.0, n, LEVEL)
        return bool(low <= 0.5 <= high)

    return lambda rng, studies: np.array([covered(rng) for _ in range(studies)])


def _detectable(n: int) -> Simulation:
    truth = detectable(n)

    def simulate(rng: np.random.Generator, studies: int) -> np.ndarray:
        stated = [minimum_detectable_difference(row) for row in NORMAL.draw(rng, studies, n)]
        return np.array([estimate.low <= truth <= estimate.high for estimate in stated])

    return simulate


def _expected_best(noise: Noise, k: int, method: str) -> Simulation:
    truth = noise.best_of(k)

    def simulate(rng: np.random.Generator, studies: int) -> np.ndarray:
        scores = np.sort(noise.draw(rng, studies, _TRIALS), axis=-1)
        low, high = tuning.BANDS[method](scores, None, LEVEL)[..., k - 1]
        return (low <= truth) & (truth <= high)

    return simulate


def _test_sets(rng: np.random.Generator, studies: int) -> np.ndarray:
    low, high = wilson(rng.binomial(_TEST_SET, _ACCURACY, studies) / _TEST_SET, _TEST_SET, LEVEL)
    return (low <= _ACCURACY) & (high >= _ACCURACY)
