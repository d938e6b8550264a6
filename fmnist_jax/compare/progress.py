"""Progress of a study: a line per chunk, and on a terminal a bar with the time that is left of the whole study."""

from __future__ import annotations

import copy
import datetime
import statistics
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

import jax
from ml_collections import ConfigDict
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from fmnist_jax.compare.planned import Plan, PlannedChunk
from fmnist_jax.compare.records import TUNE, Cell, TrainedRun
from fmnist_jax.compare.results import Results
from fmnist_jax.compare.statistics.hypothesis_tests import min_pairs
from fmnist_jax.compare.trials import Trial
from fmnist_jax.data import Dataset
from fmnist_jax.runtime.console import plain_console

_MAX_LISTED = 4  # workloads named in a line


def announce(config: ConfigDict, plan: Plan, results: Results, datasets: Mapping[str, Dataset], workdir: Path) -> None:
    """Prints what is about to be trained, and a note where there are too few seeds to find a difference.

    **Arguments:**

    - `datasets`: by their name in the plan.
    """
    arms = list(dict.fromkeys(chunk.arm for chunk in plan.chunks))
    workloads = [workload.name for workload in dict.fromkeys(chunk.cell.workload for chunk in plan.chunks)]
    where = f"{len(workloads)} workloads" if len(workloads) > _MAX_LISTED else "; ".join(workloads)
    tuning = [(chunk.cell, run.trial) for chunk in plan.chunks if chunk.phase == TUNE for run in chunk.members]
    trials = len({each for each in tuning if each[1] is not None})
    several = f" in {len(tuning)} runs" if len(tuning) > trials else ""
    runs = f"{trials} trials{several} and {plan.runs - len(tuning)} final runs" if tuning else f"{plan.runs} runs"
    resumed = f", resumed after {len(results.runs)} of them" if results.runs else ""
    images = sum(chunk.run_epochs * len(datasets[chunk.dataset].train) for chunk in plan.chunks)
    print(
        f"{', '.join(arms)} on {where}: {runs}, {plan.run_epochs:,} epochs, "
        f"{images:,} images{resumed}; {', '.join(each.display_name for each in datasets.values())}, "
        f"{jax.devices()[0].device_kind}; workdir {workdir}",
        flush=True,
    )
    pairs = len(arms) * (len(arms) - 1) // 2
    needed = min_pairs((1 - config.study.confidence) / pairs) if pairs else 0
    if config.study.seeds < needed:
        print(
            f"note: config.study.seeds={config.study.seeds} cannot show a difference between two of {len(arms)} arms, "
            f"however large: that takes {needed} or more",
            flush=True,
        )


class StudyProgress:
    """Reports a study while entered.

    **Arguments:**

    - `plan`: of the study; `results`: those of its finished chunks.
    """

    def __init__(self, plan: Plan, results: Results):
        self._plan, self._results = plan, results
        self._several = len({chunk.cell.workload for chunk in plan.chunks}) > 1
        self._announced: set[Cell] = set()
        self._pace = EpochPace()
        for chunk, timing in zip(plan.chunks, results.timings, strict=False):
            seconds = timing.compile_seconds + timing.train_seconds + timing.eval_seconds
            self._pace.add(_kind(chunk), chunk.run_epochs, seconds)
        self._estimated = bool(results.runs)
        self._started = time.monotonic()
        self._console = plain_console(sys.stdout)
        columns = (TextColumn("{task.description}", markup=False), BarColumn(), TextColumn("{task.fields[left]}"))
        self._bar = Progress(
            *columns, TimeElapsedColumn(), console=self._console, disable=not self._console.is_terminal
        )
        self._task = self._bar.add_task("", total=plan.run_epochs, completed=self._epochs_done(), left="")

    def __enter__(self) -> StudyProgress:
        self._bar.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._bar.stop()

    def start(self, chunk: PlannedChunk) -> None:
        """Reports that the chunk is being trained from now on."""
        self._started = time.monotonic()
        self._show(chunk, 0)

    def epoch(self, chunk: PlannedChunk, epoch: int) -> None:
        """Reports that each run of the chunk has finished this (1-based) epoch."""
        if not self._estimated:
            self._estimated = True
            self._console.print(f"by its first epoch, the study takes about {self._left(chunk, epoch)}", markup=False)
        self._show(chunk, epoch)

    def winner(self, chunk: PlannedChunk, best: Trial) -> None:
        """Prints, once per cell, the trial whose settings the final runs take."""
        if chunk.cell in self._announced:
            return
        self._announced.add(chunk.cell)
        shown = {name: value if isinstance(value, str) else f"{value:g}" for name, value in best.settings.items()}
        settings = ", ".join(f"{name}={value}" for name, value in shown.items())
        message = f"trial {best.number} wins: {settings}"
        if best.diverged:
            message = f"warning: every trial diverged; the final runs take the defaults: {settings}"
        self._console.print(f"{self._cell(chunk)}: {message}", markup=False)

    def finish(self, chunk: PlannedChunk, runs: Sequence[TrainedRun]) -> None:
        """Prints the line of a finished chunk, which is among the results."""
        seconds = time.monotonic() - self._started
        self._pace.add(_kind(chunk), chunk.run_epochs, seconds)
        self._console.print(
            f"{len(self._results.runs):>{len(str(self._plan.runs))}}/{self._plan.runs} runs  {self._name(chunk)}  "
            f"{_outcome(chunk, runs)}  {seconds:.1f} s  ETA {self._left(chunk, 0)}",
            markup=False,
        )

    def _show(self, chunk: PlannedChunk, epoch: int) -> None:
        diverged = sum(run.diverged for run in self._results.runs)
        self._bar.update(
            self._task,
            description=f"{self._name(chunk)}, {diverged} diverged" if diverged else self._name(chunk),
            completed=self._epochs_done() + epoch * len(chunk.members),
            left=f"{len(self._results.runs)}/{self._plan.runs} runs, ETA {self._left(chunk, epoch)}",
        )

    def _left(self, chunk: PlannedChunk, epoch: int) -> str:
        """The time that is left after this epoch of the chunk that is being trained."""
        pace, done = copy.deepcopy(self._pace), epoch * len(chunk.members)
        pace.add(_kind(chunk), done, time.monotonic() - self._started)
        return _duration(pace.seconds(self._epochs_left() - Counter({_kind(chunk): done})))

    def _cell(self, chunk: PlannedChunk) -> str:
        return f"{chunk.arm} ({chunk.cell.workload.name})" if self._several else chunk.arm

    def _name(self, chunk: PlannedChunk) -> str:
        kind = "trial" if chunk.phase == TUNE else "seed"
        numbers = list(dict.fromkeys(run.trial if chunk.phase == TUNE else run.seed for run in chunk.members))
        several = f"{kind}s {numbers[0]} to {numbers[-1]}" if len(numbers) > 1 else f"{kind} {numbers[0]}"
        if chunk.phase == TUNE and chunk.members[0].rank is not None:
            several = f"{kind}s {', '.join(map(str, numbers))}"
        until = f" for {chunk.budget} of {chunk.epochs} epochs" if chunk.stop_after else ""
        return f"{self._cell(chunk)}, {several}{until}"

    def _epochs_done(self) -> int:
        return self._plan.run_epochs - sum(self._epochs_left().values())

    def _epochs_left(self) -> Counter[str]:
        """The epochs of all chunks that are not finished, by kind."""
        left: Counter[str] = Counter()
        for chunk in self._plan.chunks[len(self._results.timings) :]:
            left[_kind(chunk)] += chunk.run_epochs
        return left


def _kind(chunk: PlannedChunk) -> str:
    """By what the time of an epoch differs most: the model and the data set."""
    return f"{chunk.model} {chunk.dataset}"


class EpochPace:
    """How long an epoch of a run takes, by the kind of run, with compilation, training and evaluation."""

    def __init__(self) -> None:
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._epochs: Counter[str] = Counter()

    def add(self, kind: str, epochs: int, seconds: float) -> None:
        """Records that so many epochs took so many seconds."""
        if epochs:
            self._seconds[kind] += seconds
            self._epochs[kind] += epochs

    def seconds(self, epochs: Mapping[str, int]) -> float | None:
        """Returns how long so many epochs of each kind will take; `None` before any were recorded.

        A kind that has not been trained yet is assumed to take the mean of the others.
        """
        rates = {kind: self._seconds[kind] / self._epochs[kind] for kind in self._epochs}
        if not rates:
            return None
        other = statistics.fmean(rates.values())
        return sum(count * rates.get(kind, other) for kind, count in epochs.items())


def _outcome(chunk: PlannedChunk, runs: Sequence[TrainedRun]) -> str:
    scores = [run.final_val_accuracy for run in runs if not run.diverged]
    failed = f"{len(runs) - len(scores)} of {len(runs)} diverged"
    if not scores:
        return failed
    name, value = ("best", max(scores)) if chunk.phase == TUNE else ("mean", statistics.fmean(scores))
    found = f"{name} val accuracy {value:.2%}"
    return found if len(scores) == len(runs) else f"{found}, {failed}"


def _duration(seconds: float | None) -> str:
    return "unknown" if seconds is None else str(datetime.timedelta(seconds=round(seconds)))
