from __future__ import annotations

import itertools
import math

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from scipy import stats

from fmnist_jax.compare.statistics.comparison import compare_arms, paired_difference, significant_ordering
from fmnist_jax.compare.statistics.estimates import mean
from fmnist_jax.compare.statistics.hypothesis_tests import holm, minimum_detectable_effect, permutation_test
from fmnist_jax.compare.statistics.probability_of_improvement import probability_of_improvement


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


def test_a_score_that_is_not_finite_is_an_error():
    with pytest.raises(ValueError, match="finite numbers; 1 of these"):
        paired_difference([math.nan, 1.0], [1.0, 2.0])
    with pytest.raises(ValueError, match="finite numbers; 1 of these"):
        probability_of_improvement([math.nan, 1.0], [1.0, 2.0])
    with pytest.raises(ValueError, match="finite numbers; 1 of these"):
        minimum_detectable_effect([math.nan, 1.0])


def test_unequal_numbers_of_values_are_an_error():
    with pytest.raises(ValueError, match="equal numbers of values, not 2 and 1"):
        paired_difference([1, 2], [1])


def test_a_significant_ordering_by_hand():
    found = significant_ordering(
        ["adam", "nadam", "sgd", "rmsprop"], {("adam", "rmsprop"), ("nadam", "rmsprop"), ("adam", "sgd")}
    )
    assert found.best == ("adam", "nadam")
    # nadam and sgd are not told apart, nor sgd and rmsprop, nor adam and nadam.
    assert found.groups == (("adam", "nadam"), ("nadam", "sgd"), ("sgd", "rmsprop"))
    assert found.beats == {"adam": ("sgd", "rmsprop"), "nadam": ("rmsprop",), "sgd": (), "rmsprop": ()}


@given(st.data())
def test_groups_are_all_maximal_sets_without_a_significant_difference(data):
    arms = "abcdef"[: data.draw(st.integers(1, 6))]
    beats = data.draw(st.sets(st.sampled_from(list(itertools.combinations(arms, 2))))) if len(arms) > 1 else set()
    found = significant_ordering(arms, beats)
    subsets = [set(s) for size in range(1, 7) for s in itertools.combinations(arms, size)]
    alike = [s for s in subsets if not any({winner, loser} <= s for winner, loser in beats)]
    assert {frozenset(g) for g in found.groups} == {
        frozenset(s) for s in alike if not any(s < other for other in alike)
    }
    assert len(found.groups) == len({*found.groups})
    assert set(found.best) == {arm for arm in arms if not any(loser == arm for _, loser in beats)}
    assert any(set(found.best) <= set(group) for group in found.groups)


def test_an_arm_cannot_beat_a_better_one():
    with pytest.raises(ValueError, match="b cannot beat a"):
        significant_ordering(["a", "b"], {("b", "a")})


def _study(n: int) -> dict[str, dict[int, float]]:
    """Three arms of which two do not differ; the third is 0.5 worse, on the same seeds."""
    rng = np.random.default_rng(3)
    common = rng.normal(90, 0.3, n)
    offsets = {"sgd": -0.5, "adam": 0.0, "nadam": 0.0}
    return {arm: dict(enumerate(common + offset + rng.normal(0, 0.1, n))) for arm, offset in offsets.items()}


def test_a_comparison_finds_the_worse_arm():
    scores = _study(10)
    found = compare_arms(scores)
    assert set(found.arms[:2]) == set(found.ordering.best) == {"adam", "nadam"}
    assert found.arms[2] == "sgd"
    assert found.ordering.groups == (found.arms[:2], ("sgd",))
    assert (found.alpha, found.seeds) == (0.05, tuple(range(10)))
    assert [(pair.a, pair.b) for pair in found.pairs] == list(itertools.combinations(found.arms, 2))
    pair = found.pair("sgd", "adam")
    assert pair is found.pair("adam", "sgd")
    a, b = (list(scores[arm].values()) for arm in ("adam", "sgd"))
    assert pair.difference == paired_difference(a, b)
    assert pair.difference.low > 0
    assert pair.improvement == probability_of_improvement(a, b)
    assert pair.p_value == permutation_test(np.subtract(a, b)) <= pair.adjusted_p
    assert pair.deviation == pytest.approx(np.std(np.subtract(a, b), ddof=1))
    assert pair.minimum_detectable_effect == minimum_detectable_effect(np.subtract(a, b), alpha=0.05 / 3)
    assert [pair.adjusted_p for pair in found.pairs] == holm(pair.p_value for pair in found.pairs).tolist()
    assert [pair.significant for pair in found.pairs] == [False, True, True]
    with pytest.raises(KeyError):
        found.pair("adam", "lion")


@settings(max_examples=20)
@given(st.permutations(["sgd", "adam", "nadam"]), st.permutations(range(8)))
def test_a_comparison_ignores_the_order_of_arms_and_seeds(arms, seeds):
    scores = _study(8)
    found, expected = compare_arms({arm: {s: scores[arm][s] for s in seeds} for arm in arms}), compare_arms(scores)
    assert found == expected


def test_three_seeds_are_too_few_for_any_significant_difference():
    found = compare_arms(_study(3))
    assert not found.conclusive
    assert found.smallest_p == pytest.approx(3 * 2 / 2**3)
    assert found.min_seeds == 7
    assert found.ordering.groups == (found.arms,)
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
    assert pair.minimum_detectable_effect.value == math.inf


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        ({}, "needs two or more arms, not 0"),
        ({"a": {0: 0.9}}, "needs two or more arms, not 1"),
        ({"a": {0: 0.9}, "b": {1: 0.9}}, "no seed in common: a, b"),
        ({"a": {0: math.nan}, "b": {0: 0.9}}, "finite numbers"),
    ],
)
def test_incomparable_scores_are_an_error(scores, message):
    with pytest.raises(ValueError, match=message):
        compare_arms(scores)
