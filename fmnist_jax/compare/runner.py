"""Runs a study: trains the chunks of its plan that are not finished, and records their results."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from fmnist_jax import data, models
from fmnist_jax.compare.arms import Arm, parse_arms
from fmnist_jax.compare.config import CHOICES, SCHEMA, more_arms_or_seeds, run_config, validate
from fmnist_jax.compare.outcome import by_program, chunk_timing, trained_runs
from fmnist_jax.compare.plan import Chunking, extended, final_seeds, make_plan, tuning_seeds, workloads
from fmnist_jax.compare.planned import EMPTY, Plan, PlannedChunk
from fmnist_jax.compare.progress import StudyProgress, announce
from fmnist_jax.compare.records import FINAL, TUNE, Workload
from fmnist_jax.compare.results import PLAN, RESULTS, Results, read_plan, write_plan, write_table
from fmnist_jax.compare.selection import with_settings
from fmnist_jax.errors import ConfigError, unknown_name
from fmnist_jax.files.reader import WorkdirReader
from fmnist_jax.models import count_parameters
from fmnist_jax.optim import schedules
from fmnist_jax.runtime import processes
from fmnist_jax.train import metrics
from fmnist_jax.train.claim import claim
from fmnist_jax.train.init_from import InitialWeights, initial_weights, print_loaded
from fmnist_jax.train.interrupts import Interrupted, Interrupts
from fmnist_jax.train.manifest import data_record, provenance
from fmnist_jax.train.network import Member, TrainState
from fmnist_jax.train.population import Outcome, Population
from fmnist_jax.train.run import make_run

# Populations are kept with their programs, which planning a study compiles, too; they share the data on the device.
MAX_CACHED_PROGRAMS = 16


def compare(
    config: ConfigDict, workdir: str | os.PathLike[str], config_file: str | os.PathLike[str] | None = None
) -> dict[str, Any]:
    """Trains the study that `config` describes in `workdir`, resuming what an earlier call with the same config began.

    The config may have more arms or seeds than it had: what is missing is trained then.

    **Arguments:**

    - `config_file`: where `config` comes from, to be recorded in the manifest.

    **Returns:** `runs`, how many were trained, and `diverged`, how many of them did.

    **Raises:** `UserError` for whatever is wrong with the config, the data or the workdir, before anything is written,
    or for too little memory; `Interrupted` after a signal that asks to stop, every finished chunk written.
    """
    validate(config)
    arms = parse_arms(config.study.optimizers, tuned=config.study.mode == "tuned")
    with processes.writer_first():  # one downloads the data
        datasets, folder = _load(config), Path(workdir)
    initial = initial_weights(config, folder, config_file)
    study = _Study(config, arms, datasets, folder, initial)
    manifest = study.manifest(config_file)
    with claim(folder, config, manifest, datasets.values(), SCHEMA, initial.npz, more_arms_or_seeds):
        plan = study.plan()
        with processes.writer_first():
            results = Results(folder, plan)
        study.train(plan, results)
        write_table(folder, results.runs)
    return {"runs": plan.runs, "diverged": sum(run.diverged for run in results.runs)}


def _load(config: ConfigDict) -> dict[str, data.Dataset]:
    """Returns the data sets by their name in the workloads."""
    if not config.study.datasets:
        return {"": data.load(config.data)}
    found, section = {}, config.data.copy_and_resolve_references()
    for name in config.study.datasets:
        section.name = name
        found[name] = data.load(section)
    return found


class _Study:
    """One process's part of a study; `datasets` are by their name in the workloads."""

    def __init__(
        self,
        config: ConfigDict,
        arms: Sequence[Arm],
        datasets: Mapping[str, data.Dataset],
        folder: Path,
        initial: InitialWeights,
    ):
        self.config = config
        self.arms = arms
        self.datasets = datasets
        self.folder = folder
        self._initial = initial
        self._populations: dict[tuple[Any, ...], Population] = {}
        every = workloads(config)
        self._states = {
            ", ".join(filter(None, (workload.dataset, workload.model))): self._check(workload, arms[0])
            for workload in every
        }
        for arm in arms[1:]:
            self._check(every[0], arm)
        for name in ("batch_size", "warmup"):
            self._check_choices(every, name)

    def manifest(self, config_file: str | os.PathLike[str] | None) -> dict[str, Any]:
        first, *others = self.datasets.values()
        several = {"datasets": {name: data_record(each) for name, each in self.datasets.items()}} if others else {}
        return provenance(first, config_file) | {
            **several,
            **metrics.described(self.config.eval.metrics),
            "models": {name: count_parameters(state.params) for name, state in self._states.items()},
            "arms": {arm.name: arm.defaults() for arm in self.arms},
            "seeds": {FINAL: final_seeds(self.config), TUNE: tuning_seeds(self.config)},
            **self._initial.manifest_entry(self._states),
        }

    def plan(self) -> Plan:
        """Returns the plan that an earlier process wrote, or makes and writes one, or adds what it lacks."""
        reader = WorkdirReader(self.folder, "restore it, or take another --workdir")
        if not reader.has(PLAN) and reader.has(RESULTS):
            raise reader.error(PLAN, "is missing beside the results")
        before = read_plan(reader) if reader.has(PLAN) else EMPTY
        processes.barrier()  # all have read it before the writer replaces it; all come to the same plan
        plan = make_plan(self.config, self.arms, self._chunking, before)
        if plan.runs == before.runs:
            return before
        if before is not EMPTY:
            plan = extended(before, plan, len(Results(self.folder, before).runs))
        write_plan(self.folder, plan)
        return plan

    def train(self, plan: Plan, results: Results) -> None:
        """Trains the chunks that are not finished."""
        left = plan.chunks[len(results.timings) :]
        if not left:
            return
        print_loaded(self.config, self._initial.fits(self._states))
        announce(self.config, plan, results, self.datasets, self.folder)
        # Finishing the epoch is of no use, since a stop loses the whole chunk: the first signal stops at once, unless
        # other processes have to learn of it first.
        with Interrupts(finish_epoch=processes.count() > 1) as interrupts, StudyProgress(plan, results) as progress:
            try:
                for chunk in left:
                    interrupts.check()
                    ready, best = with_settings(chunk, results.runs)
                    if best is not None:
                        progress.winner(chunk, best)
                    self._train(ready, results, interrupts, progress)
                interrupts.check()
            except Interrupted as stop:
                message = f"stopped after {len(results.runs)} of {plan.runs} runs"
                raise Interrupted(stop.signal_number, message, immediate=stop.immediate) from None

    def _train(self, chunk: PlannedChunk, results: Results, interrupts: Interrupts, progress: StudyProgress) -> None:
        def on_epoch(epoch: int) -> None:
            progress.epoch(chunk, epoch)
            interrupts.check()

        progress.start(chunk)
        parts = by_program(chunk)
        outcomes = [self._outcome(part, on_epoch, interrupts) for part in parts]
        classes = self.datasets[chunk.dataset].description.num_classes
        found = (trained_runs(part, each, classes) for part, each in zip(parts, outcomes, strict=True))
        runs = sorted(itertools.chain(*found), key=lambda run: run.last.member)
        results.add(chunk_timing(chunk, outcomes), runs)
        progress.finish(chunk, runs)

    def _outcome(self, chunk: PlannedChunk, on_epoch: Callable[[int], None], interrupts: Interrupts) -> Outcome:
        first = chunk.members[0]
        setting = first.batch_size, first.warmup
        return self._population(chunk.cell.workload, chunk.optimizer, chunk.executor, *setting).train(
            [_member(run.seed, run.hyperparameters or {}) for run in chunk.members],
            padded_size=chunk.padded_size,
            score_test=self.config.study.score_test and chunk.phase == FINAL,
            stop_after=chunk.budget,
            on_epoch=on_epoch,
            interrupts=interrupts,
        )

    def _check_choices(self, every: Sequence[Workload], name: str) -> None:
        key = f"config.study.{CHOICES[name]}"
        for workload, value in itertools.product(every, self.config.study[CHOICES[name]]):
            try:
                self._check(workload, self.arms[0], **{name: value})
            except ConfigError as error:
                raise ConfigError(f"{key} holds {value!r}: {error}") from None

    def _check(self, workload: Workload, arm: Arm, **own: Any) -> TrainState:
        """Returns the shapes of a run's state; raises `ConfigError` where the arm cannot be trained on the workload."""
        if workload.model not in models.names():
            raise unknown_name("config.study.models", workload.model, models.names())
        if workload.schedule not in schedules.names():
            raise unknown_name("config.study.schedules", workload.schedule, schedules.names())
        config = run_config(self.config, **workload._asdict(), optimizer=arm.optimizer, **own)
        dataset = self.datasets[workload.dataset]
        run = make_run(config, len(dataset.train), dataset.description, self._initial.weights)
        state: TrainState = jax.eval_shape(run.init, _member(0, arm.defaults()))
        return state

    def _chunking(self, workload: Workload, arm: Arm) -> Chunking:
        if not self._populations:
            print("planning: compiling, to see how many runs fit into memory at once", flush=True)
        # In the largest batches, which take the most memory.
        population = self._population(
            workload, arm.optimizer, batch_size=max(self.config.study.batch_sizes, default=None)
        )
        return Chunking(population.executor, population.chunks)

    def _population(
        self,
        workload: Workload,
        optimizer: str,
        executor: str = "auto",
        batch_size: int | None = None,
        warmup: str | None = None,
    ) -> Population:
        """Returns the population of such runs, the cached one with its programs where there is one."""
        own: dict[str, Any] = {"batch_size": batch_size, "warmup": warmup}
        key = (workload, optimizer, *own.values())
        found = self._populations.pop(key, None)
        if found is None or executor not in ("auto", found.executor):
            config = run_config(self.config, **workload._asdict(), optimizer=optimizer, **own)
            options = {"max_concurrent": self.config.study.members_at_once, "weights": self._initial.weights}
            found = Population(config, self.datasets[workload.dataset], executor=executor, **options)
        self._populations[key] = found
        if len(self._populations) > MAX_CACHED_PROGRAMS:
            del self._populations[next(iter(self._populations))]  # the least recently used
        return found


def _member(seed: int, hyperparameters: Mapping[str, float]) -> Member:
    return Member(jnp.uint32(seed), {name: jnp.float32(value) for name, value in hyperparameters.items()})
