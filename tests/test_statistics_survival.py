from __future__ import annotations

import math

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from scipy import stats

from fmnist_jax.compare.statistics.survival import (
    as_times,
    kaplan_meier,
    median_time,
    restricted_mean,
    time_to_target,
)

# Fan belts, thousands of miles until they broke; five had not (Conover 1999, page 91).
BELTS = as_times([77, 47, 81, 56, 80, 62, 60, 43, 71, 37], [True] * 5 + [False] * 5)
runs = st.lists(st.tuples(st.integers(1, 9), st.booleans()), min_size=1, max_size=9)


def _times(drawn):
    times, reached = zip(*drawn, strict=True)
    return as_times(times, reached)


def test_the_time_to_a_target_is_that_of_the_first_evaluation_there():
    assert time_to_target([1, 2, 3, 4], [0.7, 0.9, 0.8, 0.95], 0.9) == (2, True)
    assert time_to_target([1, 2, 3], [0.7, math.nan, 0.8], 0.9) == (3, False)


@pytest.mark.parametrize(("times", "values"), [([], []), ([1, 2], [0.5])])
def test_a_run_without_evaluations_has_no_time(times, values):
    with pytest.raises(ValueError, match=r"without an evaluation|shorter"):
        time_to_target(times, values, 0.9)


@pytest.mark.smoke
def test_the_published_example_of_kaplan_and_meier():
    curve = kaplan_meier(BELTS)
    shares = dict(zip(curve.times.tolist(), (1 - curve.share).tolist(), strict=True))
    expected = {43: 1.0, 47: 0.875, 56: 0.75, 71: 0.75, 77: 0.5, 80: 0.25, 81: 0.0}
    assert {time: shares[time] for time in expected} == pytest.approx(expected)
    assert median_time(BELTS) == 77


@given(runs)
def test_without_censoring_the_curve_and_its_band_are_those_of_a_share(drawn):
    times = _times([(time, True) for time, _ in drawn])
    curve = kaplan_meier(times, 0.9)
    n = len(drawn)
    for time, share, low, high in zip(*curve[:4], strict=True):
        reached = int((times.times <= time).sum())
        expected = stats.binomtest(reached, n).proportion_ci(0.9, method="wilson")
        assert (share, low, high) == pytest.approx((reached / n, expected.low, expected.high), abs=1e-9)


@given(runs)
def test_the_band_holds_the_curve_and_narrows_with_the_runs(drawn):
    curve, twice = kaplan_meier(_times(drawn)), kaplan_meier(_times(drawn * 2))
    assert (curve.low <= curve.share).all()
    assert (curve.share <= curve.high).all()
    assert twice.share == pytest.approx(curve.share)
    assert (twice.high - twice.low <= curve.high - curve.low + 1e-9).all()
    assert (np.diff(curve.share) >= -1e-12).all()


@given(runs)
def test_half_of_the_runs_have_reached_the_target_at_the_median_time(drawn):
    times = _times(drawn)
    found, curve = median_time(times), kaplan_meier(times)
    before, after = curve.share[curve.times < found], curve.share[curve.times >= found]
    assert (before < 0.5).all()
    assert (after >= 0.5 - 1e-9).all()
    assert math.isfinite(found) == (curve.share[-1] >= 0.5 - 1e-9)


def test_rounding_does_not_hide_the_half():
    # 9/15 still miss after 6, then 5/6 of them after 10: the product of the quotients comes out above a half.
    reached = [1, 1, 1, 1, 1, 1, 0, 0, 0, 1, 0, 1, 0, 1, 0]
    times = as_times(range(1, 16), map(bool, reached))
    assert kaplan_meier(times).share[9] == pytest.approx(0.5)
    assert median_time(times) == 10


def test_the_restricted_mean_and_its_interval_by_hand():
    # Missing: 0.75 from 1 on, 0.375 from 3 on. Areas left: 1.875 and 0.375; terms: 1 / (4 * 3) and 1 / (2 * 1).
    found = restricted_mean(as_times([1, 2, 3, 4], [True, False, True, False]), 4)
    variance = 4 / 3 * (1.875**2 / 12 + 0.375**2 / 2)
    half_width = 3.182446 * math.sqrt(variance)
    assert found[:3] == pytest.approx((2.875, 2.875 - half_width, 2.875 + half_width), rel=1e-6)
    assert found.method == "greenwood-t"


@given(st.lists(st.integers(1, 12), min_size=2, max_size=9), st.integers(2, 9))
def test_without_censoring_before_the_horizon_it_is_the_mean_with_students_interval(times, horizon):
    reached = [time < horizon for time in times]
    found = restricted_mean(as_times([min(time, horizon) for time in times], reached), horizon)
    restricted = np.minimum(times, horizon)
    assert found.value == pytest.approx(restricted.mean())
    if not any(reached):
        assert math.isnan(found.low)
        assert found.method == "none"
    elif len({*restricted.tolist()}) > 1:
        expected = stats.ttest_1samp(restricted, 0).confidence_interval()
        assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


@given(runs, st.floats(0.1, 9))
def test_the_restricted_mean_is_the_area_under_the_share_still_missing(drawn, horizon):
    times = _times(drawn)
    if horizon > times.times.max() and kaplan_meier(times).share[-1] < 1:
        with pytest.raises(ValueError, match="not beyond the last time"):
            restricted_mean(times, horizon)
        return
    curve = kaplan_meier(times)
    grid = (np.arange(20_000) + 0.5) * horizon / 20_000
    missing = 1 - np.append(0, curve.share)[np.searchsorted(curve.times, grid, side="right")]
    assert restricted_mean(times, horizon).value == pytest.approx(missing.mean() * horizon, abs=1e-3 * horizon)


def test_a_single_run_has_a_restricted_mean_without_an_interval():
    found = restricted_mean(as_times([2], [True]), 3)
    assert found.value == 2
    assert math.isnan(found.high)


@pytest.mark.parametrize(
    ("times", "reached", "message"),
    [
        ([], [], "one or more numbers"),
        ([1.0, math.inf], [True, False], "finite numbers"),
        ([0.0, 1.0], [True, True], "times must be positive"),
        ([1.0, 2.0], [True], "as many as the runs"),
    ],
)
def test_invalid_times_are_an_error(times, reached, message):
    with pytest.raises(ValueError, match=message):
        as_times(times, reached)


@pytest.mark.parametrize("horizon", [0.0, 82.0])
def test_a_horizon_beyond_the_last_time_is_an_error(horizon):
    censored = as_times([77, 81], [True, False])
    with pytest.raises(ValueError, match="the horizon must be positive and not beyond the last time, 81"):
        restricted_mean(censored, horizon)
