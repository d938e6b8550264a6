"""The sentences of a study's report on a workload: its verdict."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from fmnist_jax.compare.analysis.workload import Lead, WorkloadFigures
from fmnist_jax.compare.statistics.comparison import Comparison
from fmnist_jax.compare.statistics.estimates import Estimate
from fmnist_jax.compare.statistics.hypothesis_tests import smallest_p
from fmnist_jax.report.format import counted, listed, p_value, percent, points, points_between

_BOTH = {2: "both", 3: "all three", 4: "all four", 5: "all five"}
_MAX_NAMED = 4  # beaten or diverged arms that are named one by one
_MAX_PARTIAL = 3  # sentences on arms that only some of the best arms beat


def verdict(workload: WorkloadFigures) -> list[str]:
    """Returns which arms are best, the first sentence, by how much, what cannot be detected, and what diverged."""
    return [*_answer(workload), *_failures(workload)]


def _answer(workload: WorkloadFigures) -> list[str]:
    comparison = workload.comparison
    if not workload.arms:
        return ["No final run is finished yet."]
    if len(workload.arms) == 1:
        only = workload.arms[0]
        return [f"{only.arm} is the only arm with final runs, so there is nothing to compare it with."]
    if comparison is None:
        return ["The arms have no seed in common yet, so there is nothing to compare."]
    if not comparison.conclusive:
        first, second, *_ = comparison.arms
        gap = comparison.pair(first, second).difference
        ahead = f"{first} has the highest mean, {_by(gap)} above {second}, which may be chance."
        return [_too_few(comparison), ahead if gap.value else f"{first} and {second} share the highest mean."]
    if not workload.leads:
        return [_no_difference(workload, comparison), *_detectable(workload, comparison)]
    return [*_winners(workload, comparison), *_detectable(workload, comparison)]


def _too_few(comparison: Comparison) -> str:
    seeds, pairs = len(comparison.seeds), len(comparison.pairs)
    if seeds == 1:
        return "One seed cannot show a difference: the variation between seeds is unknown."
    adjusted = f", {p_value(comparison.smallest_p)} after Holm adjustment for {pairs} pairs" if pairs > 1 else ""
    return (
        f"{seeds} seeds are too few to show a difference{f' between {len(comparison.arms)} arms' * (pairs > 1)}: the "
        f"smallest possible p-value of a pair is {p_value(smallest_p(seeds))}{adjusted}, above {comparison.alpha:.2g}. "
        f"At least {comparison.min_seeds} seeds are needed."
    )


def _sound(workload: WorkloadFigures, arms: Sequence[str]) -> list[str]:
    """Returns the arms without a diverged run, or all arms if there is none."""
    return [arm for arm in arms if not workload.arm(arm).failures] or list(arms)


def _no_difference(workload: WorkloadFigures, comparison: Comparison) -> str:
    arms = _sound(workload, comparison.arms)
    pairs = [pair for pair in comparison.pairs if {pair.a, pair.b} <= set(arms)]
    if not pairs:
        return f"No arms differ significantly over {len(comparison.seeds)} seeds."
    largest = max(pairs, key=lambda pair: pair.difference.value)
    p = p_value(min(pair.adjusted_p for pair in pairs))
    by, order = _by(largest.difference), f"{largest.a} above {largest.b}"
    found = f"the largest difference is {by} ({order}), the smallest Holm-adjusted p-value {p}"
    if len(comparison.pairs) == 1:
        found = f"the difference is {by} ({order}; paired permutation test, p = {p})"
    return f"{listed(arms)} do not differ significantly over {len(comparison.seeds)} seeds: {found}."


def _winners(workload: WorkloadFigures, comparison: Comparison) -> Iterator[str]:
    """Yields the best arms and the arms that all of them beat, then the arms that only some of them beat."""
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
        yield f"{listed(best)} do not differ significantly{tail}."
    partial = [lead for lead in leads if lead not in shared]
    for lead in partial[:_MAX_PARTIAL]:
        verb = "beats" if len(lead.group) == 1 else "beat"
        others = [arm for arm in best if arm not in lead.group]
        but = f", but not {listed(others)}," if others and len(others) < len(best) else ""
        yield f"{listed(lead.group)}{but} {verb} {lead.loser} by {_by(lead.difference)}."
    if len(partial) > _MAX_PARTIAL:
        yield f"Some of the best beat {counted(len(partial) - _MAX_PARTIAL, 'more arm')}: see Pairwise differences."


def _beaten(workload: WorkloadFigures, leads: Sequence[Lead]) -> str:
    """Returns the beaten arms and by how much, except where runs diverged: that mean says little."""
    sound = [lead for lead in leads if not workload.arm(lead.loser).failures]
    failed = [f"{lead.loser}, which had diverged runs" for lead in leads if lead not in sound]
    if len(sound) <= _MAX_NAMED:
        return listed([f"{lead.loser} by {_by(lead.difference)}" for lead in sound] + failed)
    least, *_, most = sound
    low, high = least.difference, most.difference
    span = f"{points_between(low.value, low.low, low.high)} ({least.loser}) to {_by(high)} ({most.loser})"
    return listed([f"{len(sound)} other arms, by {span}", *failed])


def _detectable(workload: WorkloadFigures, comparison: Comparison) -> Iterator[str]:
    found = workload.power.minimum_detectable_effect.value if workload.power else math.inf
    if 0 < found < math.inf and not all(pair.significant for pair in comparison.pairs):
        yield (
            f"With {counted(len(comparison.seeds), 'seed')} the study detects a difference of {points(found)} points "
            "with 80 % power; smaller differences can go unnoticed."
        )


def _failures(workload: WorkloadFigures) -> Iterator[str]:
    lost = [figures for figures in workload.arms if figures.failures]
    for figures in lost[:_MAX_NAMED]:
        unplaced = workload.comparison is not None and figures.arm in workload.comparison.ordering.best
        yield (
            f"{figures.failures} of {counted(len(figures.scores), 'run')} of {figures.arm} diverged; each counts with "
            f"chance accuracy, {percent(workload.chance, 0)}{'. The test cannot rank this arm' * unplaced}."
        )
    if len(lost) > _MAX_NAMED:
        yield f"Runs of {counted(len(lost) - _MAX_NAMED, 'more arm')} diverged too."


def _by(difference: Estimate) -> str:
    return f"{points_between(difference.value, difference.low, difference.high)} points"
