"""How often the report's intervals, and the bootstrap intervals that were not chosen, contain the true value."""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
from scipy import stats

from fmnist_jax.calibration import simulation
from fmnist_jax.calibration.simulation import LEVEL, NOISES, NORMAL, SEEDS, SHARED, Cell, Noise, Simulation
from fmnist_jax.compare.statistics import intervals, survival
from fmnist_jax.compare.statistics.estimates import Estimate
from fmnist_jax.compare.statistics.hypothesis_tests import detectable_effect_size, minimum_detectable_effect
from fmnist_jax.compare.statistics.intervals import Interval
from fmnist_jax.compare.statistics.probability_of_improvement import newcombe, wins
from fmnist_jax.compare.statistics.tuning import jackknife_band

BOOTSTRAP = ("BCa", "percentile")
_MAX_VALUES = 2**24  # resampled at a time: 128 MiB
_SLOW = 0.1
_TRIALS = 20
_TEST_SET = 10_000
_ACCURACY = 0.91

Draw = Callable[[np.random.Generator, int], np.ndarray]


def cells() -> Iterator[Cell]:
    """Yields the cells of the section."""
    for noise, n in itertools.product(NOISES, SEEDS):
        yield from _centers(noise, n)
        yield from _improvements(noise, n)
        yield from _times(noise, n)
    for n in SEEDS:
        yield _cell("minimum detectable difference", "noncentral t", NORMAL.name, n, _SLOW, _detectable(n))
    for noise, k in itertools.product(NOISES, (1, 3, 5, 10, 15)):
        simulate = simulation.in_batches(_expected_best(noise, k), 100)
        yield _cell(f"expected best of {k} trials", "jackknife", noise.name, _TRIALS, _SLOW / 2, simulate)
    other_test_sets = _covered(
        lambda rng, studies: rng.binomial(_TEST_SET, _ACCURACY, studies) / _TEST_SET,
        partial(intervals.wilson, n=_TEST_SET, level=LEVEL),
        _ACCURACY,
    )
    yield _cell("accuracy on other test sets", "wilson", "binomial", _TEST_SET, 1.0, other_test_sets)


def bootstrap(
    samples: Sequence[np.ndarray],
    statistic: Callable[..., np.ndarray],
    method: str,
    *,
    level: float = LEVEL,
    paired: bool = False,
    resamples: int = 999,
) -> Interval:
    """Returns the bootstrap interval over seeds of `statistic(*samples, axis=-1)`, each sample `(..., n)`.

    `method` is `"BCa"` or `"percentile"` (Efron & Tibshirani 1993, chapters 13 and 14). Where BCa is undefined, as for
    equal values, the limits are the percentile ones.
    """
    with warnings.catch_warnings(), np.errstate(divide="ignore", invalid="ignore"):
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)
        found = stats.bootstrap(
            samples,
            statistic,
            n_resamples=resamples,
            batch=max(1, _MAX_VALUES // sum(sample.size for sample in samples)),
            paired=paired,
            axis=-1,
            vectorized=True,
            confidence_level=level,
            method=method,
            rng=np.random.default_rng(0),
        )
    low, high = found.confidence_interval
    ends = np.quantile(found.bootstrap_distribution, [(1 - level) / 2, (1 + level) / 2], axis=-1)
    defined = np.isfinite(low) & np.isfinite(high)
    return Interval(np.where(defined, low, ends[0]), np.where(defined, high, ends[1]))


def _cell(quantity: str, method: str, noise: str, n: int, share: float, simulate: Simulation) -> Cell:
    return Cell("coverage", quantity, method, noise, n, LEVEL, share, simulate)


def _covered(draw: Draw, interval: Callable[[np.ndarray], Interval], truth: float) -> Simulation:
    def simulate(rng: np.random.Generator, studies: int) -> np.ndarray:
        low, high = interval(draw(rng, studies))
        return (low <= truth) & (truth <= high)

    return simulate


def _centers(noise: Noise, n: int) -> Iterator[Cell]:
    """The mean, median and interquartile mean of an arm, and the paired difference of two arms of equal mean."""

    def scores(rng: np.random.Generator, studies: int) -> np.ndarray:
        return noise.draw(rng, studies, n)

    def differences(rng: np.random.Generator, studies: int) -> np.ndarray:
        a, b = np.moveaxis(simulation.draw_arms(noise, rng, studies, 2, n), 1, 0)
        return a - b

    between = {"order-statistics": intervals.order_statistics, "price-bonett": intervals.price_bonett}
    for quantity, draw, truth, statistic, methods in (
        ("mean", scores, noise.mean, np.mean, {"t": intervals.student_t}),
        ("median", scores, noise.median, np.median, between),
        ("IQM", scores, noise.iqm, intervals.iqm_of, {"trimmed-t": intervals.trimmed_t}),
        ("paired difference", differences, 0.0, np.mean, {"t": intervals.student_t}),
    ):
        for method, interval in methods.items():
            yield _cell(quantity, method, noise.name, n, 1.0, _covered(draw, partial(interval, level=LEVEL), truth))
        for method in BOOTSTRAP:
            resampled = partial(_bootstrap_of_one, statistic=statistic, method=method)
            yield _cell(quantity, method, noise.name, n, _SLOW, _covered(draw, resampled, truth))


def _bootstrap_of_one(values: np.ndarray, statistic: Callable[..., np.ndarray], method: str) -> Interval:
    return bootstrap((values,), statistic, method)


def _improvements(noise: Noise, n: int) -> Iterator[Cell]:
    """P(A > B) of arms without a difference and, under normal noise, where A is clearly better."""
    for truth, shared, method, interval in (
        (0.5, 0.0, "newcombe", _newcombe),
        (0.5, 0.0, "percentile", _percentile),
        (0.5, SHARED, "newcombe", _newcombe),
        (0.5, SHARED, "percentile", _percentile),
        (0.9, 0.0, "newcombe", _newcombe),
        (0.9, SHARED, "newcombe", _newcombe),
        (0.9, SHARED, "percentile", _percentile),
    ):
        quantity = f"P(A > B) = {truth}{', seeds apart' * (shared == 0)}"
        simulate = _improvement(noise, n, shared, truth, interval)
        if truth == 0.5 and method == "newcombe":
            yield _cell(quantity, method, noise.name, n, _SLOW, simulate)
        elif truth == 0.5 or noise is NORMAL:
            yield _cell(quantity, method, noise.name, n, _SLOW / 2, simulation.in_batches(simulate, 50))


def _improvement(
    noise: Noise, n: int, shared: float, truth: float, interval: Callable[[np.ndarray], Interval]
) -> Simulation:
    shift = math.sqrt(2) * stats.norm.ppf(truth)

    def draw(rng: np.random.Generator, studies: int) -> np.ndarray:
        return simulation.draw_arms(noise, rng, studies, 2, n, shared) + np.array([[shift], [0.0]])

    return _covered(draw, interval, truth)


def _newcombe(scores: np.ndarray) -> Interval:
    a, b = scores[:, 0], scores[:, 1]
    return newcombe(wins(a, b), a.shape[-1], b.shape[-1], LEVEL)


def _percentile(scores: np.ndarray) -> Interval:
    return bootstrap((scores[:, 0], scores[:, 1]), wins, "percentile", paired=True)


def _times(noise: Noise, n: int) -> Iterator[Cell]:
    """The restricted mean time to target, and the share of runs at the target by the median time."""
    median = float(simulation.time_of(np.array(noise.median)))

    def restricted_mean(rng: np.random.Generator) -> Estimate:
        return survival.restricted_mean(simulation.draw_times(noise, rng, n), noise.horizon, LEVEL)

    def share_reached(rng: np.random.Generator, early: bool) -> Interval:
        curve = survival.kaplan_meier(simulation.draw_times(noise, rng, n, stopped_early=early), LEVEL)
        last = np.searchsorted(curve.times, median, side="right") - 1
        return Interval(curve.low[last], curve.high[last]) if last >= 0 else intervals.wilson(0.0, n, LEVEL)

    simulate = _each_covers(restricted_mean, noise.restricted_mean)
    yield _cell("restricted mean time", "greenwood-t", noise.name, n, _SLOW, simulate)
    for early in (False, True):
        quantity = f"share of runs at target{', some stopped early' * early}"
        simulate = _each_covers(partial(share_reached, early=early), 0.5)
        yield _cell(quantity, "kaplan-meier, wilson", noise.name, n, _SLOW, simulate)


def _detectable(n: int) -> Simulation:
    truth = detectable_effect_size(n)
    return _each_covers(lambda rng: minimum_detectable_effect(NORMAL.draw(rng, n)), truth)


def _each_covers(estimate: Callable[[np.random.Generator], Estimate | Interval], truth: float) -> Simulation:
    def covers(rng: np.random.Generator) -> bool:
        found = estimate(rng)
        return bool(found.low <= truth <= found.high)

    return lambda rng, studies: np.array([covers(rng) for _ in range(studies)])


def _expected_best(noise: Noise, k: int) -> Simulation:
    def interval(ordered: np.ndarray) -> Interval:
        low, high = jackknife_band(ordered, None, LEVEL)
        return Interval(low[..., k - 1], high[..., k - 1])

    return _covered(lambda rng, studies: np.sort(noise.draw(rng, studies, _TRIALS)), interval, noise.best_of(k))
