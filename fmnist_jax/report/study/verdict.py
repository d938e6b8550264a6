"""The verdict on a workload in sentences: what the tests of all pairs say together, and what they could not say."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from fmnist_jax.compare.analysis.study import CHANCE
from fmnist_jax.compare.analysis.workload import Lead, WorkloadFigures
from fmnist_jax.compare.statistics.comparison import Comparison
from fmnist_jax.compare.statistics.estimates import Estimate
from fmnist_jax.compare.statistics.hypothesis_tests import smallest_p
from fmnist_jax.report.wording import counted, listed, p_value, percent, points, points_between

_BOTH = {2: "both", 3: "all three", 4: "all four", 5: "all five"}
_LISTED = 4  # arms beaten that are named one by one
_PARTIAL = 3  # sentences on arms that only some of the best ones beat


def verdict(workload: WorkloadFigures) -> list[str]:
    """Returns the verdict, its first sentence the answer to which arm is best."""
    return [*_answer(workload), *_failures(workload)]


def _answer(workload: WorkloadFigures) -> list[str]:
    comparison = workload.comparison
    if not workload.arms:
        return ["No final run has been trained yet."]
    if len(workload.arms) == 1:
        only = workload.arms[0]
        return [f"{only.arm} is the only arm with final runs, so there is nothing to compare it with."]
    if comparison is None:
        return ["The arms have no seed in common yet, so there is nothing to compare."]
    if not comparison.conclusive:
        return [_too_few(comparison), _ahead(comparison)]
    if not workload.leads:
        return [_no_difference(workload, comparison), *_detectable(workload)]
    return [*_winners(workload, comparison), *_detectable(workload)]


def _too_few(comparison: Comparison) -> str:
    seeds, pairs = len(comparison.seeds), len(comparison.pairs)
    if seeds == 1:
        return "One seed cannot show a difference: nothing tells how far another seed would move it."
    corrected = f", {p_value(comparison.smallest_p)} after Holm's correction for {pairs} pairs" if pairs > 1 else ""
    return (
        f"{seeds} seeds cannot show a difference{f' among {len(comparison.arms)} arms' * (pairs > 1)}: the smallest "
        f"p-value that the test can give a pair is {p_value(smallest_p(seeds))}{corrected}, where at most "
        f"{comparison.alpha:.2g} counts. It takes {comparison.min_seeds} seeds or more."
    )


def _ahead(comparison: Comparison) -> str:
    first, second, *_ = comparison.arms
    gap = comparison.pair(first, second).difference
    if gap.value == 0:
        return f"The means of {first} and {second}, the highest, are equal."
    return f"By its mean, which may be chance, {first} is ahead, of {second} by {_by(gap)}."


def _sound(workload: WorkloadFigures, arms: Sequence[str]) -> list[str]:
    """Returns those of the arms of which no run failed, or all where there is none."""
    return [arm for arm in arms if not workload.arm(arm).failures] or list(arms)


def _no_difference(workload: WorkloadFigures, comparison: Comparison) -> str:
    arms = _sound(workload, comparison.arms)
    pairs = [pair for pair in comparison.pairs if {pair.a, pair.b} <= set(arms)]
    if not pairs:
        return f"No difference shows over {len(comparison.seeds)} seeds."
    largest = max(pairs, key=lambda pair: pair.difference.value)
    smallest = min(pairs, key=lambda pair: pair.adjusted_p)
    corrected = ", corrected for all pairs," if len(comparison.pairs) > 1 else ""
    return (
        f"{listed(arms)} are indistinguishable over {len(comparison.seeds)} seeds: the largest difference, "
        f"{largest.a} above {largest.b}, is {_by(largest.difference)}, and the smallest p-value{corrected} is "
        f"{p_value(smallest.adjusted_p)}."
    )


def _winners(workload: WorkloadFigures, comparison: Comparison) -> Iterator[str]:
    """Says which arms are best, and over which others they all lead; then over which only some of them do."""
    best = _sound(workload, comparison.ordering.best)
    leads = sorted(workload.leads, key=lambda lead: lead.difference.value)
    shared = [lead for lead in leads if set(best) <= set(lead.group)]
    if len(best) == 1:
        only = f" (p = {p_value(comparison.pairs[0].p_value)})" if len(comparison.pairs) == 1 else ""
        beats = f"beats {_beaten(workload, shared)}{only}" if shared else "has the highest mean"
        yield f"{best[0]} {beats}."
    else:
        them = _BOTH.get(len(best), f"all {len(best)}")
        tail = f"; {them} beat {_beaten(workload, shared)}" if shared else ""
        yield f"{listed(best)} are indistinguishable{tail}."
    partial = [lead for lead in leads if lead not in shared]
    for lead in partial[:_PARTIAL]:
        verb = "beats" if len(lead.group) == 1 else "beat"
        others = [arm for arm in best if arm not in lead.group]
        but = f", but not {listed(others)}," if others and len(others) < len(best) else ""
        yield f"{listed(lead.group)}{but} {verb} {lead.loser} by {_by(lead.difference)}."
    if len(partial) > _PARTIAL:
        yield f"Some of the best beat {counted(len(partial) - _PARTIAL, 'more arm')}: see the pairs."


def _beaten(workload: WorkloadFigures, leads: Sequence[Lead]) -> str:
    """Names the arms that are beaten and by how much, but for those of which a run failed: their mean says little."""
    sound = [lead for lead in leads if not workload.arm(lead.loser).failures]
    failed = [f"{lead.loser}, of which runs diverged" for lead in leads if lead not in sound]
    if len(sound) <= _LISTED:
        return listed([f"{lead.loser} by {_by(lead.difference)}" for lead in sound] + failed)
    least, *_, most = sound
    low, high = least.difference, most.difference
    span = f"{points_between(low.value, low.low, low.high)} ({least.loser}) to {_by(high)} ({most.loser})"
    return listed([f"{len(sound)} others, by {span}", *failed])


def _detectable(workload: WorkloadFigures) -> Iterator[str]:
    found = workload.power.minimum_detectable_effect.value if workload.power else math.inf
    alike = workload.comparison is not None and any(not pair.significant for pair in workload.comparison.pairs)
    if alike and 0 < found < math.inf:
        yield (
            f"A difference of {points(found)} points between two arms is what so many seeds find four times of five; "
            "a smaller one may have escaped."
        )


def _failures(workload: WorkloadFigures) -> Iterator[str]:
    lost = [figures for figures in workload.arms if figures.failures]
    for figures in lost[:_LISTED]:
        unplaced = workload.comparison is not None and figures.arm in workload.comparison.ordering.best
        yield (
            f"{figures.failures} of {counted(len(figures.scores), 'run')} of {figures.arm} diverged; each counts with "
            f"the accuracy of a guess, {percent(CHANCE, 0)}{', and the test cannot place it' * unplaced}."
        )
    if len(lost) > _LISTED:
        yield f"Runs of {counted(len(lost) - _LISTED, 'more arm')} diverged too."


def _by(difference: Estimate) -> str:
    return f"{points_between(difference.value, difference.low, difference.high)} points"
