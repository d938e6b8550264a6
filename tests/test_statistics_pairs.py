from __future__ import annotations

import itertools
import math

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from scipy import stats

from fmnist_jax.compare.statistics import (
    compare_arms,
    holm,
    least_pairs,
    mean,
    minimum_detectable_difference,
    paired_difference,
    paired_probability_of_improvement,
    probability_of_improvement,
    sign_flip_test,
    smallest_p,
)
from fmnist_jax.compare.statistics.superiority import newcombe
from fmnist_jax.compare.statistics.verdict import judge

# Accuracies come in steps, so that there are ties.
differences = st.lists(st.integers(-9, 9).map(lambda k: k / 10), min_size=1, max_size=9)
samples = st.lists(st.integers(0, 20).map(lambda k: k / 20), min_size=1, max_size=8)
p_values = st.lists(st.floats(0, 1), min_size=1, max_size=8)


def _by_all_signs(values) -> float:
    observed = abs(sum(values))
    sums = [abs(sum(s * v for s, v in zip(signs, values, strict=True))) for signs in _signs(len(values))]
    return sum(total >= observed - 1e-9 for total in sums) / len(sums)


def _signs(n: int):
    return itertools.product((1, -1), repeat=n)


@pytest.mark.smoke
@given(differences)
def test_the_permutation_test_counts_all_signs(values):
    assert sign_flip_test(values) == pytest.approx(_by_all_signs(values))


def test_the_permutation_test_is_scipys():
    values = np.random.default_rng(0).normal(0.3, 1, 13)
    expected = stats.permutation_test((values,), np.mean, permutation_type="samples", n_resamples=np.inf).pvalue
    assert sign_flip_test(values) == pytest.approx(expected)


@given(differences, st.integers(0, 9), st.sampled_from([-1.0, 0.1, 7.0]))
def test_the_permutation_test_knows_neither_order_nor_unit_nor_direction(values, seed, factor):
    shuffled = np.random.default_rng(seed).permutation(values) * factor
    assert sign_flip_test(shuffled) == pytest.approx(sign_flip_test(values))


@pytest.mark.parametrize("n", [1, 2, 5, 12, 30])
def test_the_smallest_p_is_reached_where_all_differences_agree(n):
    values = np.random.default_rng(n).uniform(0.1, 1, n)
    assert sign_flip_test(values) == pytest.approx(smallest_p(n), rel=1e-12)
    assert smallest_p(n) == pytest.approx(2.0 ** (1 - n))


def test_more_pairs_than_can_be_counted_are_drawn_and_never_give_zero():
    rng = np.random.default_rng(0)
    assert sign_flip_test(rng.uniform(0.1, 1, 35)) == smallest_p(35) == 2**-15
    weak = rng.normal(0.25, 1, 35)
    assert sign_flip_test(weak) == pytest.approx(stats.ttest_1samp(weak, 0).pvalue, rel=0.1)
    assert sign_flip_test(weak) == sign_flip_test(weak)


@pytest.mark.parametrize("alpha", [0.5, 0.25, 0.05, 0.05 / 6, 0.05 / 45, 0.001])
def test_fewer_pairs_cannot_reject(alpha):
    n = least_pairs(alpha)
    assert smallest_p(n) <= alpha < smallest_p(n - 1)


def test_holm_by_hand():
    # Sorted: 0.005 * 4, 0.01 * 3, 0.03 * 2, and 0.04, which may not be below the one before it.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.9]) == pytest.approx([1.0, 1.0])
    assert holm([]).tolist() == []


@given(p_values, st.sampled_from([0.01, 0.05, 0.2]))
def test_holms_adjusted_p_values_decide_as_his_procedure_does(values, alpha):
    rejected = set()
    for step, place in enumerate(sorted(range(len(values)), key=values.__getitem__)):
        if values[place] * (len(values) - step) > alpha:
            break
        rejected.add(place)
    assert set(np.flatnonzero(holm(values) <= alpha)) == rejected


@pytest.mark.parametrize("values", [[0.5, 1.1], [-0.1], [math.nan]])
def test_what_is_no_p_value_is_an_error(values):
    with pytest.raises(ValueError, match="p-values lie between 0 and 1"):
        holm(values)


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


def test_p_of_improvement_of_arms_far_apart_has_an_interval_of_some_width():
    assert probability_of_improvement([3, 4, 5], [0, 1, 2]).low == pytest.approx(0.503, abs=0.01)
    bootstrapped = probability_of_improvement([3, 4, 5], [0, 1, 2], method="percentile")
    assert bootstrapped[:3] == (1.0, 1.0, 1.0)


def test_the_bootstrap_of_p_of_improvement_resamples_seeds():
    a = np.array([1.0, 2.0, 3.0, 4.0])
    b = a - 0.5
    drawn = (list(seeds) for seeds in itertools.product(range(4), repeat=4))
    resampled = [np.mean(a[seeds, None] > b[seeds]) for seeds in drawn]
    found = probability_of_improvement(a, b, 0.8, "percentile")
    assert (found.low, found.high) == pytest.approx(np.quantile(resampled, [0.1, 0.9]))


def test_paired_p_of_improvement_counts_seeds():
    found = paired_probability_of_improvement([3, 5, 4, 9, 1], [1, 2, 3, 8, 7])
    expected = stats.binomtest(4, 5).proportion_ci(method="wilson")
    assert found[:3] == pytest.approx((0.8, expected.low, expected.high))
    assert paired_probability_of_improvement([1, 2], [1, 1]).value == 0.75


@given(st.lists(st.tuples(st.integers(0, 100), st.integers(0, 100)), min_size=2, max_size=9))
def test_paired_differences_are_those_of_the_paired_t_test(pairs):
    a, b = np.transpose(pairs) / 10
    found, other = paired_difference(a, b), paired_difference(b, a)
    assert (-other.value, -other.high, -other.low) == pytest.approx(found[:3])
    if len({x - y for x, y in pairs}) > 1:
        expected = stats.ttest_rel(a, b).confidence_interval()
        assert found[1:3] == pytest.approx((expected.low, expected.high))
    # What a seed does to both arms alike does not count.
    seeds = np.arange(len(a))
    assert paired_difference(a + seeds, b + seeds)[:3] == pytest.approx(found[:3])


@pytest.mark.parametrize(
    "function", [paired_difference, paired_probability_of_improvement, minimum_detectable_difference]
)
def test_a_score_that_is_not_finite_is_an_error(function):
    arguments = ([math.nan, 1.0],) if function is minimum_detectable_difference else ([math.nan, 1.0], [1.0, 2.0])
    with pytest.raises(ValueError, match="finite numbers; 1 of these"):
        function(*arguments)


def test_unequal_numbers_make_no_pairs():
    with pytest.raises(ValueError, match="equal numbers, not 2 and 1"):
        paired_difference([1, 2], [1])
    with pytest.raises(ValueError, match="equal numbers, not 2 and 1"):
        probability_of_improvement([1, 2], [1], method="percentile")


def test_a_verdict_by_hand():
    found = judge(["adam", "nadam", "sgd", "rmsprop"], {("adam", "rmsprop"), ("nadam", "rmsprop"), ("adam", "sgd")})
    assert found.best == ("adam", "nadam")
    # nadam and sgd are not told apart, nor sgd and rmsprop, nor adam and nadam.
    assert found.groups == (("adam", "nadam"), ("nadam", "sgd"), ("sgd", "rmsprop"))
    assert found.beats == {"adam": ("sgd", "rmsprop"), "nadam": ("rmsprop",), "sgd": (), "rmsprop": ()}


@given(st.data())
def test_groups_are_all_the_largest_sets_without_a_difference(data):
    arms = "abcdef"[: data.draw(st.integers(1, 6))]
    beats = data.draw(st.sets(st.sampled_from(list(itertools.combinations(arms, 2))))) if len(arms) > 1 else set()
    found = judge(arms, beats)
    subsets = [set(s) for size in range(1, 7) for s in itertools.combinations(arms, size)]
    alike = [s for s in subsets if not any({winner, loser} <= s for winner, loser in beats)]
    assert {frozenset(g) for g in found.groups} == {
        frozenset(s) for s in alike if not any(s < other for other in alike)
    }
    assert len(found.groups) == len({*found.groups})
    assert set(found.best) == {arm for arm in arms if not any(loser == arm for _, loser in beats)}
    assert any(set(found.best) <= set(group) for group in found.groups)


def test_an_arm_does_not_beat_a_better_one():
    with pytest.raises(ValueError, match="b cannot beat a"):
        judge(["a", "b"], {("b", "a")})


def _study(n: int) -> dict[str, dict[int, float]]:
    """Three arms of which two do not differ; the third is 0.5 worse, on the same seeds."""
    rng = np.random.default_rng(3)
    common = rng.normal(90, 0.3, n)
    offsets = {"sgd": -0.5, "adam": 0.0, "nadam": 0.0}
    return {arm: dict(enumerate(common + offset + rng.normal(0, 0.1, n))) for arm, offset in offsets.items()}


def test_a_comparison_says_which_arm_is_better():
    scores = _study(10)
    found = compare_arms(scores)
    assert set(found.arms[:2]) == set(found.verdict.best) == {"adam", "nadam"}
    assert found.arms[2] == "sgd"
    assert found.verdict.groups == (found.arms[:2], ("sgd",))
    assert (found.alpha, found.seeds) == (0.05, tuple(range(10)))
    assert [(pair.a, pair.b) for pair in found.pairs] == list(itertools.combinations(found.arms, 2))
    pair = found.pair("sgd", "adam")
    assert pair is found.pair("adam", "sgd")
    a, b = (list(scores[arm].values()) for arm in ("adam", "sgd"))
    assert pair.difference == paired_difference(a, b)
    assert pair.difference.low > 0
    assert pair.improvement == probability_of_improvement(a, b)
    assert pair.paired_improvement == paired_probability_of_improvement(a, b)
    assert pair.p_value == sign_flip_test(np.subtract(a, b)) <= pair.adjusted_p
    assert pair.deviation == pytest.approx(np.std(np.subtract(a, b), ddof=1))
    assert pair.detectable == minimum_detectable_difference(np.subtract(a, b), alpha=0.05 / 3)
    assert [pair.adjusted_p for pair in found.pairs] == holm(pair.p_value for pair in found.pairs).tolist()
    assert [pair.significant for pair in found.pairs] == [False, True, True]
    with pytest.raises(KeyError):
        found.pair("adam", "lion")


@settings(max_examples=20)
@given(st.permutations(["sgd", "adam", "nadam"]), st.permutations(range(8)))
def test_a_comparison_knows_neither_the_order_of_arms_nor_of_seeds(arms, seeds):
    scores = _study(8)
    found, expected = compare_arms({arm: {s: scores[arm][s] for s in seeds} for arm in arms}), compare_arms(scores)
    assert found == expected


def test_three_seeds_are_too_few_for_any_verdict():
    found = compare_arms(_study(3))
    assert not found.conclusive
    assert found.smallest_p == pytest.approx(3 * 2 / 2**3)
    assert found.least_seeds == 7
    assert found.verdict.groups == (found.arms,)
    assert compare_arms(_study(7)).conclusive
    assert not compare_arms(_study(6)).conclusive


def test_seeds_that_not_all_arms_have_are_left_out():
    scores = _study(9)
    del scores["adam"][4]
    found = compare_arms(scores)
    assert found.seeds == (0, 1, 2, 3, 5, 6, 7, 8)
    kept = [scores["sgd"][seed] for seed in found.seeds]
    assert found.pair("adam", "sgd").difference.value == pytest.approx(
        mean(scores["adam"].values()).value - np.mean(kept)
    )


def test_a_failed_run_counts_as_the_caller_scored_it():
    scores = {"a": {0: 0.9, 1: 0.1}, "b": {0: 0.8, 1: 0.8}}
    found = compare_arms(scores)
    assert found.arms == ("b", "a")
    assert found.pairs[0].difference.value == pytest.approx(0.3)


def test_a_single_seed_is_compared_without_intervals():
    (pair,) = compare_arms({"a": {0: 0.9}, "b": {0: 0.8}}).pairs
    assert math.isnan(pair.difference.low)
    assert math.isnan(pair.deviation)
    assert (pair.p_value, pair.significant) == (1.0, False)
    assert pair.detectable.value == math.inf


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        ({}, "two or more arms, not 0"),
        ({"a": {0: 0.9}}, "two or more arms, not 1"),
        ({"a": {0: 0.9}, "b": {1: 0.9}}, "no seed in common: a, b"),
        ({"a": {0: math.nan}, "b": {0: 0.9}}, "finite numbers"),
    ],
)
def test_what_cannot_be_compared_is_an_error(scores, message):
    with pytest.raises(ValueError, match=message):
        compare_arms(scores)
