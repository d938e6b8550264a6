"""The plan of a study: every run that is to be trained, in which chunks, fixed when the study starts."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from fmnist_jax.compare.arms import Arm
from fmnist_jax.compare.planned import EMPTY, Addition, Plan, PlannedChunk, PlannedRun, SearchRange
from fmnist_jax.compare.records import FINAL, TUNE, Cell, Phase, Workload, all_workloads
from fmnist_jax.compare.search import search_space, trial_settings
from fmnist_jax.compare.selection import rungs

_SEEDS = 2**31  # a config's seed lies below
_FIRST_TUNING_SEED = 1_000_000  # after the first final one; a study has fewer final ones than this


class Chunking(NamedTuple):
    """How the runs of a cell are trained: the executor, and `sizes(runs)`, the chunks that so many are divided into."""

    executor: str
    sizes: Callable[[int], Sequence[int]]


def workloads(config: ConfigDict) -> list[Workload]:
    """Returns the workloads of the study: every combination of its data sets, models, budgets and schedules."""
    study = config.study
    return all_workloads(study.datasets, study.models, study.epochs, study.schedules)


def make_plan(
    config: ConfigDict,
    arms: Sequence[Arm],
    chunking: Callable[[Workload, Arm], Chunking],
    before: Plan = EMPTY,
) -> Plan:
    """Returns the plan of the study that the config describes.

    **Arguments:**

    - `chunking`: returns for a workload and an arm how its runs are to be trained.
    - `before`: a plan of the same study with fewer arms or seeds, which the plan goes on with the runs that it lacks.
    """
    members = itertools.count(before.runs)
    chunks = list(before.chunks)
    for workload, arm in itertools.product(workloads(config), arms):
        groups = _groups(config, arm, workload.epochs)
        if not (lacking := _lacking(groups, before, Cell(workload, arm.name))):
            continue
        executor, sizes = chunking(workload, arm)
        parts = []
        for group in lacking:
            runs = iter(group.runs)
            parts += [group._replace(runs=list(itertools.islice(runs, size))) for size in sizes(len(group.runs))]
        for part in parts:
            numbered = [dataclasses.replace(run, member=next(members)) for run in part.runs]
            chunk = PlannedChunk(
                chunk=len(chunks),
                **workload._asdict(),
                arm=arm.name,
                optimizer=arm.optimizer,
                phase=part.phase,
                executor=executor,
                padded_size=_padded_size(part, parts),
                members=numbered,
                stop_after=part.stop_after,
            )
            chunks.append(chunk)
    spaces = {
        arm.name: {key: SearchRange(e.default, e.low, e.high, e.scale) for key, e in search_space(arm, config).items()}
        for arm in arms
    }
    return Plan(chunks, {**spaces, **before.spaces} if config.study.mode == "tuned" else {}, before.additions)


def extended(before: Plan, plan: Plan, trained: int) -> Plan:
    """Returns `plan`, which goes on where `before` ends, with a record of what it adds after so many trained runs."""
    first = len(before.chunks)
    old = {chunk.arm for chunk in before.chunks}
    added = plan.chunks[first:]
    arms = dict.fromkeys(chunk.arm for chunk in added if chunk.arm not in old)
    seeds = dict.fromkeys(run.seed for chunk in added if chunk.arm in old for run in chunk.members)
    return dataclasses.replace(plan, additions=[*before.additions, Addition(first, trained, list(arms), list(seeds))])


def final_seeds(config: ConfigDict) -> list[int]:
    """Returns the seeds of the final runs, the same for every arm."""
    return [(config.seed + i) % _SEEDS for i in range(config.study.seeds)]


def tuning_seeds(config: ConfigDict) -> list[int]:
    """Returns the seeds of the trials, the same for every arm and disjoint from `final_seeds`; none in quick mode.

    Each trial has its own, several in a row or one, so that trials are independent draws of settings and seeds.
    """
    study = config.study
    if study.mode != "tuned":
        return []
    trials = max(sum(rung.trials for rung in rungs(study.trials, epochs, study.halving)) for epochs in study.epochs)
    return [(config.seed + _FIRST_TUNING_SEED + i) % _SEEDS for i in range(trials * study.seeds_per_trial)]


class _Group(NamedTuple):
    """Runs of a phase that one program can train, not yet numbered; `stop_after` as in `PlannedChunk`."""

    phase: Phase
    runs: Sequence[PlannedRun]
    stop_after: int | None = None


def _groups(config: ConfigDict, arm: Arm, epochs: int) -> list[_Group]:
    study = config.study
    if study.mode == "quick":
        return [_Group(FINAL, [PlannedRun(0, 0, seed, arm.defaults()) for seed in final_seeds(config)])]
    settings, each, seeds = trial_settings(arm, config), study.seeds_per_trial, iter(tuning_seeds(config))
    first, *others = rungs(len(settings), epochs, study.halving)
    by_program: dict[Any, list[PlannedRun]] = {}
    for number, setting in enumerate(settings):
        for seed in itertools.islice(seeds, each):
            run = PlannedRun(0, number, seed, *setting)
            by_program.setdefault(run.program, []).append(run)
    stop_after = first.epochs if others else None
    tune = [_Group(TUNE, runs, stop_after) for runs in by_program.values()]
    for rung in others:
        going_on = enumerate(itertools.islice(seeds, each * rung.trials))
        runs = [PlannedRun(0, None, seed, None, rank=number // each) for number, seed in going_on]
        tune.append(_Group(TUNE, runs, rung.epochs if rung is not others[-1] else None))
    return [*tune, _Group(FINAL, [PlannedRun(0, None, seed, None) for seed in final_seeds(config)])]


def _lacking(groups: Sequence[_Group], before: Plan, cell: Cell) -> list[_Group]:
    """Returns the runs of a cell that the plan does not have; the trials of an arm are planned with it."""
    planned = {(chunk.phase, run.seed) for chunk in before.chunks if chunk.cell == cell for run in chunk.members}
    left = [
        group._replace(runs=[run for run in group.runs if (group.phase, run.seed) not in planned]) for group in groups
    ]
    return [group for group in left if group.runs]


def _padded_size(part: _Group, parts: Sequence[_Group]) -> int:
    """How many runs to compile for: one program for both phases, unless it would be more than half idle in one."""
    largest = max(len(each.runs) for each in parts)
    of_phase = max(len(each.runs) for each in parts if each.phase == part.phase)
    return largest if 2 * of_phase >= largest else of_phase
