from __future__ import annotations

import math

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from fmnist_jax.compare.statistics.profiles import performance_profile, share_within


def test_a_performance_profile_by_hand():
    found = performance_profile({"a": [1, 4, math.inf, 3], "b": [2, 2, math.inf, math.inf]})
    assert found.ratios["a"].tolist() == [1, 2, math.inf, 1]
    assert found.ratios["b"].tolist() == [2, 1, math.inf, math.inf]
    assert found.factors.tolist() == [1, 2]
    assert found.shares["a"].tolist() == [0.5, 0.75]
    assert found.shares["b"].tolist() == [0.25, 0.5]


costs = st.integers(1, 4).flatmap(
    lambda n: st.lists(
        st.lists(st.sampled_from([0.5, 1.0, 2.0, 3.0, math.inf]), min_size=n, max_size=n), min_size=1, max_size=4
    )
)


@given(costs, st.sampled_from([0.25, 1024.0]))
def test_profiles_rise_to_the_share_of_successes_and_ignore_scale(rows, factor):
    found = performance_profile({str(place): row for place, row in enumerate(rows)})
    table = np.array(rows)
    for place, row in enumerate(table):
        shares = found.shares[str(place)]
        assert (np.diff(shares) >= 0).all()
        assert shares[-1] == np.isfinite(row).mean()
    solved = np.isfinite(table).any(0).mean()
    assert sum(shares[0] for shares in found.shares.values()) >= solved
    scaled = table * np.where(np.arange(table.shape[1]) == 0, factor, 1.0)
    again = performance_profile({str(place): row for place, row in enumerate(scaled)})
    assert again.factors.tolist() == found.factors.tolist()
    assert {arm: shares.tolist() for arm, shares in again.shares.items()} == {
        arm: shares.tolist() for arm, shares in found.shares.items()
    }


def test_the_share_within_a_factor_counts_the_factor_itself():
    assert share_within(np.array([1.0, 1.5, math.inf]), [1.0, 1.49, 1.5, 100.0]) == pytest.approx(
        [1 / 3, 1 / 3, 2 / 3, 2 / 3]
    )


@pytest.mark.parametrize("table", [{}, {"a": []}, {"a": [1], "b": [1, 2]}, {"a": [0.0]}, {"a": [math.nan]}])
def test_invalid_costs_are_an_error(table):
    with pytest.raises(ValueError, match="costs must be positive numbers, as many for each arm"):
        performance_profile(table)
