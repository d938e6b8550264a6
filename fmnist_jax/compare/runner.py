"""Runs a study: trains what is left of its plan, chunk by chunk, and writes down what comes out."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from fmnist_jax import data, models
from fmnist_jax.compare.arms import Arm, parse_arms
from fmnist_jax.compare.config import SCHEMA, run_config, validate
from fmnist_jax.compare.plan import (
    FINAL,
    TUNE,
    Division,
    Plan,
    PlannedChunk,
    Workload,
    final_seeds,
    make_plan,
    read_plan,
    tuning_seeds,
    workloads,
    write_plan,
)
from fmnist_jax.compare.progress import StudyProgress
from fmnist_jax.compare.results import Line, Results, by_member, lines_of
from fmnist_jax.compare.selection import winner
from fmnist_jax.compare.statistics.hypothesis_tests import min_pairs
from fmnist_jax.compare.table import write_table
from fmnist_jax.errors import WorkdirError, unknown_name
from fmnist_jax.models import overview
from fmnist_jax.optim import schedules
from fmnist_jax.train.epoch_record import diverged
from fmnist_jax.train.interrupts import Interrupted, Interrupts
from fmnist_jax.train.manifest import provenance
from fmnist_jax.train.population import Outcome, Population
from fmnist_jax.train.run import Member, make_run
from fmnist_jax.train.workdir import Workdir


def compare(config: ConfigDict, workdir: str | os.PathLike[str]) -> dict[str, Any]:
    """Trains the study that `config` describes in `workdir`, or what an earlier call with the same config left of it.

    **Returns:** `runs`, how many were trained, and `diverged`, how many of them did.

    **Raises:** `UserError` for whatever is wrong with the config, the data or the workdir, before anything is written,
    or for too little memory; `Interrupted` after SIGINT or SIGTERM, every finished chunk written.
    """
    validate(config)
    arms = parse_arms(config.study.optimizers, tuned=config.study.mode == "tuned")
    study = _Study(config, arms, data.load(config.data), Path(workdir))
    with Workdir(study.folder, SCHEMA) as claimed:
        claimed.begin(config, study.manifest(), study.dataset)
        plan = study.plan()
        results = Results(study.folder, plan)
        study.train(plan, results)
        write_table(study.folder / "results.csv", results.lines)
    return {"runs": plan.members, "diverged": sum(diverged(run[-1]) for own in results.lines for run in by_member(own))}


# Populations kept with their programs, each with the data set on the device: to plan a study compiles as well.
_KEPT = 16
_LISTED = 4  # workloads in a line


class _Study:
    """One process's part of a study."""

    def __init__(self, config: ConfigDict, arms: Sequence[Arm], dataset: data.Dataset, folder: Path):
        self.config = config
        self.arms = arms
        self.dataset = dataset
        self.folder = folder
        self._populations: dict[tuple[Workload, str], Population] = {}
        self._workloads = workloads(config)
        self._parameters = {workload.model: self._check(workload, arms[0]) for workload in self._workloads}
        for arm in arms[1:]:
            self._check(self._workloads[0], arm)

    def manifest(self) -> dict[str, Any]:
        return provenance(self.dataset) | {
            "models": self._parameters,
            "arms": {arm.name: arm.defaults() for arm in self.arms},
            "seeds": {FINAL: final_seeds(self.config), TUNE: tuning_seeds(self.config)},
        }

    def plan(self) -> Plan:
        """The plan, as an earlier process wrote it, or a new one, which is written."""
        file = self.folder / "plan.json"
        if file.exists():
            return read_plan(file)
        if (self.folder / "results.jsonl").exists():
            raise WorkdirError(f"{file} is missing beside the results; restore it, or take another --workdir")
        print("planning: compiling, to see how many runs fit into memory at once", flush=True)
        plan = make_plan(self.config, self.arms, self._divide)
        write_plan(file, plan)
        return plan

    def train(self, plan: Plan, results: Results) -> None:
        """Trains the chunks that are not finished."""
        left = plan.chunks[len(results.lines) :]
        if not left:
            return
        self._announce(plan, results)
        # What an epoch more would bring is lost with its chunk: the first signal stops at once.
        with Interrupts(finish_epoch=False) as interrupts, StudyProgress(plan, results) as progress:
            try:
                for chunk in left:
                    interrupts.check()
                    self._train(_settled(chunk, plan, results, progress), results, interrupts, progress)
                interrupts.check()
            except Interrupted as stop:
                message = f"stopped after {results.runs} of {plan.members} runs"
                raise Interrupted(stop.signal_number, message, immediate=stop.immediate) from None

    def _train(self, chunk: PlannedChunk, results: Results, interrupts: Interrupts, progress: StudyProgress) -> None:
        def on_epoch(epoch: int) -> None:
            progress.epoch(chunk, epoch)
            interrupts.check()

        progress.start(chunk)
        outcome = self._population(chunk.workload, chunk.optimizer, chunk.executor).train(
            [_member(each.seed, each.hyperparameters or {}) for each in chunk.members],
            padded_size=chunk.padded_size,
            score_test=self.config.study.score_test and chunk.phase == FINAL,
            on_epoch=on_epoch,
            interrupts=interrupts,
        )
        results.add(_took(chunk, outcome), lines_of(chunk, outcome))
        progress.finish(chunk, results.lines[-1])

    def _check(self, workload: Workload, arm: Arm) -> int:
        """Returns how many parameters the model has; raises `ConfigError` where it cannot be trained so."""
        for key, name, known in (
            ("models", workload.model, models.names()),
            ("schedules", workload.schedule, schedules.names()),
        ):
            if name not in known:
                raise unknown_name(f"config.study.{key}", name, known)
        config = run_config(self.config, **workload._asdict(), optimizer=arm.optimizer)
        run = make_run(config, len(self.dataset.train))
        return overview.count(jax.eval_shape(run.init, _member(0, arm.defaults())).params)

    def _divide(self, workload: Workload, arm: Arm) -> Division:
        population = self._population(workload, arm.optimizer)
        return Division(population.executor, population.chunks)

    def _population(self, workload: Workload, optimizer: str, executor: str = "auto") -> Population:
        """A population of such runs: the one that was asked for before, with what it has compiled, where it is kept."""
        key = (workload, optimizer)
        found = self._populations.pop(key, None)
        if found is None or executor not in ("auto", found.executor):
            config = run_config(self.config, **workload._asdict(), optimizer=optimizer)
            max_concurrent = self.config.study.members_at_once
            found = Population(config, self.dataset, executor=executor, max_concurrent=max_concurrent)
        self._populations[key] = found
        if len(self._populations) > _KEPT:
            del self._populations[next(iter(self._populations))]  # the one that was not asked for the longest
        return found

    def _announce(self, plan: Plan, results: Results) -> None:
        trials = sum(len(chunk.members) for chunk in plan.chunks if chunk.phase == TUNE)
        runs = f"{trials} trials and {plan.members - trials} final runs" if trials else f"{plan.members} runs"
        images = plan.member_epochs * len(self.dataset.train)
        mark = "SYNTHETIC data" if self.dataset.synthetic else self.dataset.name
        resumed = f", resumed after {results.runs} of them" if results.runs else ""
        several = len(self._workloads) > _LISTED
        where = f"{len(self._workloads)} workloads" if several else "; ".join(map(str, self._workloads))
        print(
            f"{', '.join(arm.name for arm in self.arms)} on {where}: {runs}, {plan.member_epochs:,} epochs, "
            f"{images:,} images{resumed}; {mark}, {jax.devices()[0].device_kind}; workdir {self.folder}",
            flush=True,
        )
        self._warn_of_few_seeds()

    def _warn_of_few_seeds(self) -> None:
        pairs = len(self.arms) * (len(self.arms) - 1) // 2
        least = min_pairs((1 - self.config.study.confidence) / pairs) if pairs else 0
        if self.config.study.seeds < least:
            print(
                f"note: config.study.seeds={self.config.study.seeds} cannot show a difference between two of "
                f"{len(self.arms)} arms, however large: that takes {least} or more",
                flush=True,
            )


def _settled(chunk: PlannedChunk, plan: Plan, results: Results, progress: StudyProgress) -> PlannedChunk:
    """The chunk with the settings of all its runs: those that wait for a winner take it from the trials of its cell."""
    if all(member.hyperparameters is not None for member in chunk.members):
        return chunk
    trials = [
        line
        for planned, lines in zip(plan.chunks, results.lines, strict=False)
        if planned.cell == chunk.cell and planned.phase == TUNE
        for line in lines
    ]
    best = winner(trials)
    progress.settle(chunk, best)
    members = [
        dataclasses.replace(member, trial=best.trial, hyperparameters=best.hyperparameters) for member in chunk.members
    ]
    return dataclasses.replace(chunk, members=members)


def _member(seed: int, hyperparameters: Mapping[str, float]) -> Member:
    return Member(jnp.uint32(seed), {name: jnp.float32(value) for name, value in hyperparameters.items()})


def _took(chunk: PlannedChunk, outcome: Outcome) -> Line:
    return {
        "chunk": chunk.chunk,
        "members": len(chunk.members),
        "compile_seconds": outcome.compile_seconds,
        "train_seconds": sum(outcome.train_seconds),
        "eval_seconds": sum(outcome.eval_seconds),
        "executor": outcome.executor,
        "device": outcome.device,
    }
