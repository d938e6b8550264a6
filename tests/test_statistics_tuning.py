from __future__ import annotations

import itertools
import math
from typing import NamedTuple

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from fmnist_jax import optim
from fmnist_jax.compare.statistics.estimates import mean
from fmnist_jax.compare.statistics.tuning import AtEdge, at_edges, expected_best, learning_rate_sensitivity

scores = st.lists(st.integers(0, 100).map(lambda k: k / 100), min_size=1, max_size=7)


@pytest.mark.smoke
@given(scores)
def test_the_expected_best_is_the_mean_over_all_choices_of_trials(values):
    found = expected_best(values)
    for k, value in zip(found.trials, found.value, strict=True):
        assert value == pytest.approx(np.mean([max(chosen) for chosen in itertools.combinations(values, k)]))
    assert found.value[-1] == pytest.approx(max(values))
    assert (np.diff(found.value) >= -1e-12).all()


@given(scores, st.floats(0, 1))
def test_with_defaults_every_search_begins_with_them(values, defaults):
    found = expected_best(values, defaults)
    assert found.trials.tolist() == list(range(1, len(values) + 2))
    assert found.value[0] == defaults
    for k, value in zip(found.trials[1:], found.value[1:], strict=True):
        best = [max(defaults, *chosen) for chosen in itertools.combinations(values, k - 1)]
        assert value == pytest.approx(np.mean(best))


def test_a_hundred_trials_lose_no_precision():
    # The best of k of 1..n is (n + 1) k / (k + 1) on average.
    found = expected_best(range(1, 201))
    assert found.value == pytest.approx(201 * found.trials / (found.trials + 1))


@given(values=st.lists(st.integers(0, 100), min_size=2, max_size=7), seed=st.integers(0, 9))
def test_the_curve_and_its_band_follow_the_scores(values, seed):
    found = expected_best(values, 50)
    moved = np.random.default_rng(seed).permutation(values) * 3.0 - 7
    again = expected_best(moved, 143)
    for mine, theirs in zip(found[1:4], again[1:4], strict=True):
        assert 3 * mine - 7 == pytest.approx(theirs, nan_ok=True)


def test_the_band_for_one_trial_is_students_interval_of_the_mean():
    values = np.random.default_rng(0).normal(size=12)
    found = expected_best(values)
    expected = mean(values)
    assert (found.value[0], found.low[0], found.high[0]) == pytest.approx(expected[:3])


def test_the_best_of_all_trials_has_no_band_nor_has_a_single_trial():
    found = expected_best([0.1, 0.2, 0.3], 0.15)
    assert np.isfinite(found.low[:-1]).all()
    assert math.isnan(found.low[-1])
    assert np.isnan(expected_best([0.1], 0.2).high).all()


def test_the_band_is_supported_for_about_a_fifth_of_the_trials():
    # Best of 3: their median is exceeded by none of 20 in 0.5^(20/3) = 0.01 < 0.025 of cases; of 4: in 0.03.
    assert expected_best(range(20)).supported == 3
    assert expected_best(range(100)).supported == 18
    assert expected_best(range(2)).supported == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([],), "one or more numbers"),
        (([math.nan, 1.0],), "finite numbers"),
        (([0.1, 0.2], math.nan), "finite numbers"),
        (([0.1, 0.2], None, 2.0), "level must lie"),
    ],
)
def test_invalid_scores_have_no_curve(arguments, message):
    with pytest.raises(ValueError, match=message):
        expected_best(*arguments)


class _Space(NamedTuple):
    low: float
    high: float
    scale: str = "log"


@pytest.mark.parametrize(
    ("space", "value", "expected"),
    [
        (_Space(1e-5, 1e-1), 1.5e-5, ("low", 0.044)),
        (_Space(1e-5, 1e-1), 1.6e-5, None),
        (_Space(1e-5, 1e-1), 0.07, ("high", 0.0387)),
        (_Space(1e-5, 1e-1), 1e-1, ("high", 0.0)),
        (_Space(1e-5, 1e-1), 1.0, ("high", -0.25)),
        (_Space(1e-5, 1e-1), 0.0, ("low", -math.inf)),
        # 1 - 0.9 to 1 - 0.999: two decades.
        (_Space(0.9, 0.999, "log1m"), 0.9988, ("high", 0.0396)),
        (_Space(0.9, 0.999, "log1m"), 0.9, ("low", 0.0)),
        (_Space(0.9, 0.999, "log1m"), 0.99, None),
        (_Space(0.0, 1.0, "linear"), 0.96, ("high", 0.04)),
        (_Space(0.0, 1.0, "linear"), 0.5, None),
        (_Space(0.3, 0.3), 0.3, None),
    ],
)
def test_an_optimum_at_the_edge_of_its_range_is_reported(space, value, expected):
    found = at_edges({"x": value, "not searched": 1.0}, {"x": space, "not given": space})
    if expected is None:
        assert found == ()
        return
    edge, distance = expected
    bound = space.low if edge == "low" else space.high
    assert found == (AtEdge("x", value, edge, bound, pytest.approx(distance, abs=1e-3)),)


@given(st.floats(0, 1), st.sampled_from([0.02, 0.05, 0.2]))
def test_a_value_within_the_share_of_a_bound_is_reported(place, share):
    found = at_edges({"x": 10 ** (-5 + 4 * place)}, {"x": _Space(1e-5, 1e-1)}, share)
    if abs(min(place, 1 - place) - share) > 1e-9:
        assert bool(found) == (min(place, 1 - place) < share)


def test_the_optimizers_own_spaces_are_understood():
    spaces = optim.get("adam").hyperparameters
    best = {name: space.high for name, space in spaces.items()}
    assert {found.name for found in at_edges(best, spaces)} == {n for n, s in spaces.items() if s.low < s.high}


def test_the_plateau_of_a_learning_rate_by_hand():
    # From 0.90 at 1e-4 to 0.91 at 1e-3, half a decade is above 0.905; and then 0.005 / 0.11 of the next one.
    found = learning_rate_sensitivity([1e-3, 1e-2, 1e-4], [0.91, 0.80, 0.90], 1e-5, 1e-1)
    assert found.rates.tolist() == [1e-4, 1e-3, 1e-2]
    assert found.scores.tolist() == [0.90, 0.91, 0.80]
    assert found.best_rate == 1e-3
    assert found.decades == pytest.approx(0.5 + 0.005 / 0.11, abs=1e-3)
    assert found.share == pytest.approx(found.decades / 4)


def test_the_curve_joins_the_best_trial_of_each_bin():
    rates = np.repeat([1e-4, 1e-3, 1e-2], 6) * np.tile([1.0, 1.1, 1.2, 1.3, 1.4, 1.5], 3)
    values = np.tile([0.1, 0.2, 0.9, 0.3, 0.1, 0.5], 3) + np.repeat([0.0, 0.01, 0.002], 6)
    found = learning_rate_sensitivity(rates, values, 1e-4, 1e-1)
    assert found.rates == pytest.approx([1.2e-4, 1.2e-3, 1.2e-2])
    assert found.scores == pytest.approx([0.9, 0.91, 0.902])


def test_a_flat_curve_is_as_wide_as_what_was_tried():
    rates = np.geomspace(1e-4, 1e-2, 30)
    found = learning_rate_sensitivity(rates, np.full(30, 0.9), 1e-5, 1e-1)
    assert found.decades == pytest.approx(2 - (np.log10(rates[0]) + 4), abs=0.3)
    assert found.decades <= 2


@given(
    st.lists(st.tuples(st.floats(-4.5, -1.5), st.integers(0, 100)), min_size=1, max_size=20),
    st.sampled_from([0.005, 0.1]),
)
def test_the_plateau_follows_the_units_of_rate_and_score(trials, tolerance):
    exponents, values = np.transpose(trials)
    found = learning_rate_sensitivity(10**exponents, values / 100, 1e-5, 1e-1, tolerance)
    moved = learning_rate_sensitivity(10 ** (exponents + 1), values, 1e-4, 1.0, 100 * tolerance)
    assert moved.share == pytest.approx(found.share, abs=1e-3)
    assert moved.best_rate == pytest.approx(10 * found.best_rate)
    assert learning_rate_sensitivity(10**exponents, values / 100, 1e-5, 1e-1, 1.0).share >= found.share
    assert found.scores.max() == values.max() / 100


@pytest.mark.parametrize(
    ("rates", "values", "low", "message"),
    [
        ([], [], 1e-5, "one or more numbers"),
        ([1e-3], [math.nan], 1e-5, "finite numbers"),
        ([1e-3, 1e-2], [0.9], 1e-5, "equal numbers of values"),
        ([1e-6], [0.9], 1e-5, "within the searched range"),
        ([1e-3], [0.9], 0.0, "within the searched range"),
    ],
)
def test_invalid_trials_have_no_sensitivity(rates, values, low, message):
    with pytest.raises(ValueError, match=message):
        learning_rate_sensitivity(rates, values, low, 1e-1)
