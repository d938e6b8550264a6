from __future__ import annotations

import itertools
import math

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from scipy import integrate, stats

from fmnist_jax.compare.statistics.hypothesis_tests import (
    detectable_effect_size,
    holm,
    min_pairs,
    minimum_detectable_effect,
    one_sided_t_test,
    permutation_test,
    power_of_t_test,
    seeds_needed,
    smallest_p,
)

# Accuracies come in steps, so that there are ties.
differences = st.lists(st.integers(-9, 9).map(lambda k: k / 10), min_size=1, max_size=9)
p_values = st.lists(st.floats(0, 1), min_size=1, max_size=8)


def _by_all_signs(values) -> float:
    observed = abs(sum(values))
    sums = [abs(sum(s * v for s, v in zip(signs, values, strict=True))) for signs in _signs(len(values))]
    return sum(total >= observed - 1e-9 for total in sums) / len(sums)


def _signs(n: int):
    return itertools.product((1, -1), repeat=n)


@pytest.mark.smoke
@given(differences)
def test_the_permutation_test_equals_a_count_over_all_signs(values):
    assert permutation_test(values) == pytest.approx(_by_all_signs(values))


def test_the_permutation_test_equals_scipys():
    values = np.random.default_rng(0).normal(0.3, 1, 13)
    expected = stats.permutation_test((values,), np.mean, permutation_type="samples", n_resamples=np.inf).pvalue
    assert permutation_test(values) == pytest.approx(expected)


@given(differences, st.integers(0, 9), st.sampled_from([-1.0, 0.1, 7.0]))
def test_the_permutation_test_ignores_order_scale_and_sign(values, seed, factor):
    shuffled = np.random.default_rng(seed).permutation(values) * factor
    assert permutation_test(shuffled) == pytest.approx(permutation_test(values))


@pytest.mark.parametrize("n", [1, 2, 5, 12, 30])
def test_the_smallest_p_is_attained_when_all_differences_have_one_sign(n):
    values = np.random.default_rng(n).uniform(0.1, 1, n)
    assert permutation_test(values) == pytest.approx(smallest_p(n), rel=1e-12)
    assert smallest_p(n) == pytest.approx(2.0 ** (1 - n))


def test_many_pairs_are_sampled_and_p_is_never_zero():
    rng = np.random.default_rng(0)
    assert permutation_test(rng.uniform(0.1, 1, 35)) == smallest_p(35) == 2**-15
    weak = rng.normal(0.25, 1, 35)
    assert permutation_test(weak) == pytest.approx(stats.ttest_1samp(weak, 0).pvalue, rel=0.1)
    assert permutation_test(weak) == permutation_test(weak)


@pytest.mark.parametrize("alpha", [0.5, 0.25, 0.05, 0.05 / 6, 0.05 / 45, 0.001])
def test_fewer_than_min_pairs_cannot_reject(alpha):
    n = min_pairs(alpha)
    assert smallest_p(n) <= alpha < smallest_p(n - 1)


def test_holm_by_hand():
    # Sorted: 0.005 * 4, 0.01 * 3, 0.03 * 2, and 0.04, which may not be below the one before it.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.9]) == pytest.approx([1.0, 1.0])
    assert holm([]).tolist() == []


@given(p_values, st.sampled_from([0.01, 0.05, 0.2]))
def test_holm_adjusted_p_values_reject_as_the_step_down_procedure(values, alpha):
    rejected = set()
    for step, place in enumerate(sorted(range(len(values)), key=values.__getitem__)):
        if values[place] * (len(values) - step) > alpha:
            break
        rejected.add(place)
    assert set(np.flatnonzero(holm(values) <= alpha)) == rejected


@pytest.mark.parametrize("values", [[0.5, 1.1], [-0.1], [math.nan]])
def test_p_values_outside_0_to_1_are_an_error(values):
    with pytest.raises(ValueError, match="p-values lie between 0 and 1"):
        holm(values)


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
    assert power_of_t_test(difference, 1.0, n, alpha) == pytest.approx(_integrated(difference, n, alpha), abs=1e-6)


@pytest.mark.smoke
@pytest.mark.parametrize(("difference", "published"), [(0.2, 198.15), (0.5, 33.37), (0.8, 14.30), (1.0, 9.94)])
def test_seeds_needed_are_those_of_the_published_tables(difference, published):
    """R: `power.t.test(delta=difference, power=0.8, type="paired")$n`; Cohen's small, medium and large effects."""
    assert seeds_needed(1.0, difference) == math.ceil(published)


def test_without_a_difference_the_power_is_alpha():
    assert power_of_t_test(0.0, 1.0, 10, 0.03) == 0.03
    assert power_of_t_test(1e-6, 1.0, 10, 0.03) == pytest.approx(0.03)


@given(st.integers(2, 50), st.sampled_from([0.05, 0.01, 0.05 / 6]), st.sampled_from([0.5, 0.8, 0.95]))
def test_the_detectable_effect_size_has_the_requested_power(n, alpha, power):
    found = detectable_effect_size(n, alpha, power)
    assert power_of_t_test(found, 1.0, n, alpha) == pytest.approx(power, abs=1e-6)
    assert detectable_effect_size(n + 1, alpha, power) < found
    assert seeds_needed(2.0, 2.0 * found * (1 + 1e-6), alpha, power) == max(n, min_pairs(alpha))


def test_the_minimum_detectable_effect_scales_with_the_deviation():
    differences = np.random.default_rng(0).normal(0.3, 0.25, 10)
    found = minimum_detectable_effect(differences)
    deviation = differences.std(ddof=1)
    assert found.value == pytest.approx(detectable_effect_size(10) * deviation)
    limits = [found.value * math.sqrt(9 / stats.chi2.ppf(q, 9)) for q in (0.975, 0.025)]
    assert (found.low, found.high) == pytest.approx(limits)
    assert minimum_detectable_effect(-3 * differences + 1)[:3] == pytest.approx([3 * x for x in found[:3]])
    assert minimum_detectable_effect(differences, alpha=0.05 / 6).value > found.value
    assert minimum_detectable_effect(differences, power=0.9).value > found.value


def test_a_single_seed_detects_nothing():
    assert minimum_detectable_effect([0.1]).value == math.inf


def test_seeds_needed_are_never_fewer_than_can_reject():
    assert seeds_needed(0.0, 0.1) == seeds_needed(1e-3, 0.1) == min_pairs(0.05) == 6
    assert seeds_needed(0.0, 0.1, alpha=0.05 / 6) == 8


@given(st.floats(0.05, 2), st.floats(0.05, 2))
def test_a_smaller_difference_or_a_larger_deviation_needs_more_seeds(deviation, difference):
    needed = seeds_needed(deviation, difference)
    assert seeds_needed(deviation, difference / 2) >= needed
    assert seeds_needed(2 * deviation, difference) >= needed
    assert seeds_needed(10 * deviation, 10 * difference) == pytest.approx(needed, abs=1)


@pytest.mark.parametrize("arguments", [(1.0, 0.0), (1.0, -0.1), (-1.0, 0.1), (math.nan, 0.1), (1.0, math.inf)])
def test_seeds_needed_for_an_invalid_difference_are_an_error(arguments):
    with pytest.raises(ValueError, match="the difference must be positive and the deviation not negative"):
        seeds_needed(*arguments)


@pytest.mark.parametrize(("alpha", "power"), [(0.0, 0.8), (0.05, 1.0), (0.05, 0.05)])
def test_a_power_lies_between_alpha_and_1(alpha, power):
    with pytest.raises(ValueError, match=r"alpha|power"):
        seeds_needed(1.0, 1.0, alpha, power)
    with pytest.raises(ValueError, match=r"alpha|power"):
        minimum_detectable_effect([0.1, 0.2], alpha, power)


def test_the_one_sided_t_test_is_students():
    values = [0.921, 0.924, 0.919, 0.926]
    t = (np.mean(values) - 0.92) / (np.std(values, ddof=1) / 2)
    assert one_sided_t_test(values, 0.92) == pytest.approx(stats.t.sf(t, 3))
    assert one_sided_t_test(values, 0.93) > 0.5


@pytest.mark.parametrize(("threshold", "p"), [(0.92, 0.0), (0.93, 1.0), (0.94, 1.0)])
def test_the_one_sided_t_test_of_equal_values(threshold, p):
    assert one_sided_t_test([0.93] * 20, threshold) == p


def test_the_one_sided_t_test_needs_two_values():
    with pytest.raises(ValueError, match="two values"):
        one_sided_t_test([0.9], 0.8)
