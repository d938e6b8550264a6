from __future__ import annotations

import math

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from scipy import stats

from fmnist_jax.compare.statistics.estimates import iqm, mean, median, sampling_uncertainty
from fmnist_jax.compare.statistics.intervals import (
    iqm_of,
    min_runs_for_order_statistics,
    order_statistics,
    price_bonett,
    student_t,
    trimmed_t,
    wilson,
)

ACCURACIES = (90.83, 91.21, 90.54, 91.02, 90.97, 90.41, 91.33, 90.88)
scores = st.lists(st.integers(0, 10_000).map(lambda k: k / 100), min_size=2, max_size=12)
each_estimator = pytest.mark.parametrize("estimator", [mean, median, iqm])
each_interval = pytest.mark.parametrize(
    ("center", "interval"),
    [(np.mean, student_t), (np.median, order_statistics), (np.median, price_bonett), (iqm_of, trimmed_t)],
    ids=["t", "order-statistics", "price-bonett", "trimmed-t"],
)


def _limits(center, interval, values, level=0.95):
    sample = np.array(values, dtype=float)
    return center(sample), *interval(sample, level)


@pytest.mark.smoke
def test_the_mean_has_the_interval_of_the_t_test():
    found = mean(ACCURACIES, 0.9)
    expected = stats.ttest_1samp(ACCURACIES, 0).confidence_interval(0.9)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), rel=1e-12)
    assert found.value == pytest.approx(np.mean(ACCURACIES))
    assert (found.level, found.method) == (0.9, "t")


@given(scores)
def test_the_iqm_is_the_mean_trimmed_by_a_quarter(values):
    assert iqm(values).value == pytest.approx(stats.trim_mean(values, 0.25))


def test_the_interval_of_the_iqm_by_hand():
    # 3 3 3 4 5 6 6 6 when winsorised: sum of squares 14; four are kept, so that the error is sqrt(14 / (4 * 3)).
    found = iqm([5, 3, 8, 1, 6, 2, 7, 4])
    half_width = 3.182446 * math.sqrt(14 / 12)
    assert (found.value, found.low, found.high) == pytest.approx((4.5, 4.5 - half_width, 4.5 + half_width), rel=1e-6)


def test_the_error_of_the_iqm_is_that_of_yuens_test():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=13), rng.normal(1, 3, size=17)
    errors = []
    for sample, kept in ((a, 13 - 6), (b, 17 - 8)):
        low, high = trimmed_t(sample, 0.95)
        errors.append((high - low) / 2 / stats.t.ppf(0.975, kept - 1))
    yuen = stats.ttest_ind(a, b, trim=0.25, equal_var=False).statistic
    assert (iqm_of(a) - iqm_of(b)) / math.hypot(*errors) == pytest.approx(yuen)


def test_few_seeds_are_not_trimmed():
    assert iqm(ACCURACIES[:3])[:3] == pytest.approx(mean(ACCURACIES[:3])[:3])


@pytest.mark.parametrize(("n", "rank"), [(6, 1), (10, 2), (20, 6), (31, 10)])
def test_at_an_attainable_level_the_limits_of_the_median_are_order_statistics(n, rank):
    values = np.random.default_rng(n).normal(size=n)
    level = stats.binom.cdf(n - rank, n, 0.5) - stats.binom.cdf(rank - 1, n, 0.5)
    low, high = order_statistics(values, level)
    assert (low, high) == pytest.approx((np.sort(values)[rank - 1], np.sort(values)[n - rank]), abs=1e-9)


@pytest.mark.parametrize("n", [6, 9, 10, 20, 41])
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_the_interval_of_the_median_is_scipys(n, level):
    values = np.random.default_rng(n).normal(size=n)
    assert order_statistics(values, level) == pytest.approx(stats.mstats.median_cihs(values, 1 - level))


@pytest.mark.parametrize("n", [6, 9, 10, 20, 41])
def test_the_interval_of_the_median_lies_within_the_exact_ones(n):
    """That of the sign test, as scipy has it, which covers more often than asked, and the next narrower one."""
    values = np.random.default_rng(n).normal(size=n)
    found = median(values)
    assert found.method == "order-statistics"
    outer = stats.quantile_test(values, q=0, p=0.5).confidence_interval(0.95)
    ordered = np.sort(values)
    first = int(np.searchsorted(ordered, outer.low))
    assert outer.low <= found.low <= ordered[first + 1]
    assert ordered[n - 2 - first] <= found.high <= outer.high


def test_few_seeds_have_no_distribution_free_interval_of_the_median():
    assert min_runs_for_order_statistics(0.95) == 6
    assert [median(ACCURACIES[:n]).method for n in (5, 6)] == ["price-bonett", "order-statistics"]
    # The whole range covers the median of three in 1 - 2 / 8 of cases.
    assert order_statistics(np.array(ACCURACIES[:3]), 0.95) == (90.54, 91.21)


def test_price_and_bonett_by_hand():
    # n = 5: the rank is 1, below which the median lies in 1 of 32 cases, 1.8627 deviations off; t is 2.7764.
    found = median([5, 1, 2, 4, 3])
    half_width = 2.776445 * (5 - 1) / (2 * 1.8627319)
    assert (found.value, found.low, found.high) == pytest.approx((3, 3 - half_width, 3 + half_width), abs=1e-5)


@each_estimator
def test_a_single_run_has_no_interval(estimator):
    found = estimator([0.9])
    assert found.value == 0.9
    assert math.isnan(found.low)
    assert math.isnan(found.high)
    assert found.method == "none"


@each_interval
def test_equal_runs_have_an_interval_of_no_width(center, interval):
    assert _limits(center, interval, [0.9] * 7) == pytest.approx((0.9, 0.9, 0.9))


@each_estimator
@pytest.mark.parametrize("n", [2, 3, 5, 7])
def test_estimates_of_equal_runs_have_no_width(estimator, n):
    assert estimator([0.9] * n)[:3] == pytest.approx((0.9, 0.9, 0.9))


@given(values=scores, shift=st.integers(-50, 50), seed=st.integers(0, 9))
@each_interval
def test_estimates_follow_the_scores_and_ignore_the_order_of_the_seeds(center, interval, values, shift, seed):
    found = _limits(center, interval, values)
    moved = [2 * value + shift for value in np.random.default_rng(seed).permutation(values)]
    assert _limits(center, interval, moved) == pytest.approx([2 * limit + shift for limit in found], abs=1e-9)


@given(values=scores)
@each_interval
def test_intervals_mirror_and_widen_with_the_level(center, interval, values):
    value, low, high = _limits(center, interval, values, 0.9)
    _, lower, higher = _limits(center, interval, values, 0.95)
    slack = 1e-9
    assert lower - slack <= low <= value + slack
    assert value - slack <= high <= higher + slack
    _, mirrored_low, mirrored_high = _limits(center, interval, [-value for value in values], 0.9)
    assert (-mirrored_high, -mirrored_low) == pytest.approx((low, high))


@given(values=scores)
@each_estimator
def test_an_estimate_has_the_interval_of_its_method(estimator, values):
    found = estimator(values, 0.9)
    methods = {
        "t": student_t,
        "order-statistics": order_statistics,
        "price-bonett": price_bonett,
        "trimmed-t": trimmed_t,
    }
    assert (found.low, found.high) == methods[found.method](np.array(values), 0.9)


@each_estimator
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([],), "one or more numbers"),
        (([[0.9, 0.8]],), "one or more numbers"),
        (([0.9, math.nan, math.inf],), "finite numbers; 2 of these are not"),
        (([0.9, 0.8], 1.0), "level must lie strictly between 0 and 1"),
    ],
)
def test_invalid_samples_are_an_error(estimator, arguments, message):
    with pytest.raises(ValueError, match=message):
        estimator(*arguments)


@pytest.mark.parametrize(("correct", "examples"), [(0, 10), (3, 10), (10, 10), (9123, 10_000)])
def test_the_sampling_uncertainty_is_wilsons(correct, examples):
    found = sampling_uncertainty(correct / examples, examples, 0.9)
    expected = stats.binomtest(correct, examples).proportion_ci(0.9, method="wilson")
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert (found.value, found.level, found.method) == (correct / examples, 0.9, "wilson")


@pytest.mark.parametrize(("accuracy", "examples"), [(1.1, 10), (-0.1, 10), (math.nan, 10), (0.9, 0)])
def test_invalid_accuracies_are_an_error(accuracy, examples):
    with pytest.raises(ValueError, match="an accuracy lies between 0 and 1"):
        sampling_uncertainty(accuracy, examples)


@pytest.mark.parametrize(
    ("hits", "total", "low", "high"),
    [(0, 10, 0.0, 0.2775), (5, 10, 0.2366, 0.7634), (10, 10, 0.7225, 1.0), (9070, 10_000, 0.9012, 0.9125)],
)
def test_wilsons_interval_agrees_with_published_tables(hits, total, low, high):
    assert wilson(hits / total, total, 0.95) == pytest.approx((low, high), abs=5e-5)
