from __future__ import annotations

import math

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from scipy import integrate, stats

from fmnist_jax.compare.statistics import least_pairs, minimum_detectable_difference, seeds_needed
from fmnist_jax.compare.statistics.power import detectable, power_of


def _integrated(difference: float, n: int, alpha: float) -> float:
    """The power of the t-test from its parts: a normal mean, and a standard deviation by chi square."""
    critical, shift = stats.t.isf(alpha / 2, n - 1), difference * math.sqrt(n)

    def given_deviation(u: float) -> float:
        limit = critical * math.sqrt(stats.chi2.ppf(u, n - 1) / (n - 1))
        return stats.norm.sf(limit - shift) + stats.norm.cdf(-limit - shift)

    return integrate.quad(given_deviation, 0, 1, limit=200)[0]


@pytest.mark.parametrize("alpha", [0.05, 0.05 / 45])
@pytest.mark.parametrize("n", [2, 3, 5, 20])
@pytest.mark.parametrize("difference", [0.1, 1.0, 6.0])
def test_power_is_that_of_a_normal_mean_over_its_deviation(difference, n, alpha):
    assert power_of(difference, 1.0, n, alpha) == pytest.approx(_integrated(difference, n, alpha), abs=1e-6)


@pytest.mark.smoke
@pytest.mark.parametrize(("difference", "published"), [(0.2, 198.15), (0.5, 33.37), (0.8, 14.30), (1.0, 9.94)])
def test_seeds_needed_are_those_of_the_published_tables(difference, published):
    """R: `power.t.test(delta=difference, power=0.8, type="paired")$n`; Cohen's small, medium and large effects."""
    assert seeds_needed(1.0, difference) == math.ceil(published)


def test_without_a_difference_the_power_is_alpha():
    assert power_of(0.0, 1.0, 10, 0.03) == 0.03
    assert power_of(1e-6, 1.0, 10, 0.03) == pytest.approx(0.03)


@given(st.integers(2, 50), st.sampled_from([0.05, 0.01, 0.05 / 6]), st.sampled_from([0.5, 0.8, 0.95]))
def test_the_detectable_difference_is_found_with_the_power_asked_for(n, alpha, power):
    found = detectable(n, alpha, power)
    assert power_of(found, 1.0, n, alpha) == pytest.approx(power, abs=1e-6)
    assert detectable(n + 1, alpha, power) < found
    assert seeds_needed(2.0, 2.0 * found * (1 + 1e-6), alpha, power) == max(n, least_pairs(alpha))


def test_the_minimum_detectable_difference_scales_with_the_scatter():
    differences = np.random.default_rng(0).normal(0.3, 0.25, 10)
    found = minimum_detectable_difference(differences)
    deviation = differences.std(ddof=1)
    assert found.value == pytest.approx(detectable(10) * deviation)
    limits = [found.value * math.sqrt(9 / stats.chi2.ppf(q, 9)) for q in (0.975, 0.025)]
    assert (found.low, found.high) == pytest.approx(limits)
    assert minimum_detectable_difference(-3 * differences + 1)[:3] == pytest.approx([3 * x for x in found[:3]])
    assert minimum_detectable_difference(differences, alpha=0.05 / 6).value > found.value
    assert minimum_detectable_difference(differences, power=0.9).value > found.value


def test_a_single_seed_detects_nothing():
    assert minimum_detectable_difference([0.1]).value == math.inf


def test_seeds_needed_are_never_fewer_than_can_reject():
    assert seeds_needed(0.0, 0.1) == seeds_needed(1e-3, 0.1) == least_pairs(0.05) == 6
    assert seeds_needed(0.0, 0.1, alpha=0.05 / 6) == 8


@given(st.floats(0.05, 2), st.floats(0.05, 2))
def test_a_smaller_difference_or_a_wider_scatter_needs_more_seeds(deviation, difference):
    needed = seeds_needed(deviation, difference)
    assert seeds_needed(deviation, difference / 2) >= needed
    assert seeds_needed(2 * deviation, difference) >= needed
    assert seeds_needed(10 * deviation, 10 * difference) == pytest.approx(needed, abs=1)


@pytest.mark.parametrize("arguments", [(1.0, 0.0), (1.0, -0.1), (-1.0, 0.1), (math.nan, 0.1), (1.0, math.inf)])
def test_seeds_for_no_difference_are_an_error(arguments):
    with pytest.raises(ValueError, match="a difference over 0 and a deviation are wanted"):
        seeds_needed(*arguments)


@pytest.mark.parametrize(("alpha", "power"), [(0.0, 0.8), (0.05, 1.0), (0.05, 0.05)])
def test_a_power_lies_between_alpha_and_1(alpha, power):
    with pytest.raises(ValueError, match=r"alpha|power"):
        seeds_needed(1.0, 1.0, alpha, power)
    with pytest.raises(ValueError, match=r"alpha|power"):
        minimum_detectable_difference([0.1, 0.2], alpha, power)
