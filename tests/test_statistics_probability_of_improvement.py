from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import given
from scipy import stats

from fmnist_jax.compare.statistics.probability_of_improvement import newcombe, probability_of_improvement

# Accuracies come in steps, so that there are ties.
samples = st.lists(st.integers(0, 20).map(lambda k: k / 20), min_size=1, max_size=8)


@given(samples, samples)
def test_p_of_improvement_is_the_mann_whitney_statistic(a, b):
    found = probability_of_improvement(a, b)
    assert found.value == pytest.approx(stats.mannwhitneyu(a, b).statistic / (len(a) * len(b)))
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert found.low < found.high
    other = probability_of_improvement(b, a)
    assert (1 - other.value, 1 - other.high, 1 - other.low) == pytest.approx(found[:3], abs=1e-9)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.5, 1.0])
def test_newcombes_limits_solve_his_equation(share):
    n_a, n_b, z = 7, 4, stats.norm.ppf(0.975)
    for limit in newcombe(share, n_a, n_b, 0.95):
        # Hanley & McNeil's variance with (n_a + n_b) / 2 - 1 in the place of n_a - 1 and of n_b - 1.
        q1, q2, more = limit / (2 - limit), 2 * limit**2 / (1 + limit), (n_a + n_b) / 2 - 1
        terms = limit * (1 - limit) + more * (q1 - limit**2) + more * (q2 - limit**2)
        assert (share - limit) ** 2 == pytest.approx(z**2 * terms / (n_a * n_b), abs=1e-9)


def test_newcombes_limits_for_one_run_each_are_wilsons():
    wilson = stats.binomtest(1, 1).proportion_ci(method="wilson")
    assert newcombe(1.0, 1, 1, 0.95) == pytest.approx((wilson.low, wilson.high))


def test_p_of_improvement_of_1_has_an_interval_of_positive_width():
    assert probability_of_improvement([3, 4, 5], [0, 1, 2]).low == pytest.approx(0.503, abs=0.01)
