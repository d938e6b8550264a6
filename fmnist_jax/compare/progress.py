"""What a person sees of a study: a line per chunk, and on a terminal a bar, with the time that is left of all of it."""

from __future__ import annotations

import copy
import datetime
import statistics
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from fmnist_jax.compare.plan import TUNE, Plan, PlannedChunk
from fmnist_jax.compare.results import Line, Results, by_member
from fmnist_jax.compare.selection import Winner
from fmnist_jax.train.epoch_record import diverged

_SPENT = ("compile", "train", "eval")


class StudyProgress:
    """Reports a study while entered.

    **Arguments:**

    - `plan`: of the study; `results`: those that are there already.
    """

    def __init__(self, plan: Plan, results: Results):
        self._plan = plan
        self._several = len({chunk.workload for chunk in plan.chunks}) > 1
        self._settled: set[tuple[str, int, str, str]] = set()
        self._pace = Pace()
        self._started = time.monotonic()
        self._done, self._failures = 0, 0
        for chunk, took, lines in zip(plan.chunks, results.chunks, results.lines, strict=False):
            self._pace.add(chunk.model, chunk.member_epochs, sum(took[f"{what}_seconds"] for what in _SPENT))
            self._count(chunk, lines)
        self._estimated = bool(results.lines)
        self._console = Console(file=sys.stdout, highlight=False, soft_wrap=True)
        columns = (TextColumn("{task.description}", markup=False), BarColumn(), TextColumn("{task.fields[left]}"))
        self._bar = Progress(
            *columns, TimeElapsedColumn(), console=self._console, disable=not self._console.is_terminal
        )
        self._task = self._bar.add_task("", total=plan.member_epochs, completed=self._epochs_done(), left="")

    def __enter__(self) -> StudyProgress:
        self._bar.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._bar.stop()

    def start(self, chunk: PlannedChunk) -> None:
        """Tells which chunk is being trained from now on."""
        self._started = time.monotonic()
        self._show(chunk, 0)

    def epoch(self, chunk: PlannedChunk, epoch: int) -> None:
        """Tells that each run of the chunk has done that many epochs."""
        if not self._estimated:
            self._estimated = True
            self._console.print(f"by its first epoch, the study takes about {self._left(chunk, epoch)}", markup=False)
        self._show(chunk, epoch)

    def settle(self, chunk: PlannedChunk, best: Winner) -> None:
        """Prints, once, which trial's settings the final runs of the chunk's arm take."""
        if chunk.cell in self._settled:
            return
        self._settled.add(chunk.cell)
        settings = ", ".join(f"{name}={value:g}" for name, value in best.hyperparameters.items())
        said = f"trial {best.trial} wins: {settings}"
        if best.diverged:
            said = f"warning: every trial diverged; the final runs take the defaults: {settings}"
        self._console.print(f"{self._cell(chunk)}: {said}", markup=False)

    def finish(self, chunk: PlannedChunk, lines: Sequence[Line]) -> None:
        """Prints the line of a finished chunk."""
        seconds = time.monotonic() - self._started
        self._pace.add(chunk.model, chunk.member_epochs, seconds)
        self._count(chunk, lines)
        left = _duration(self._pace.seconds(self._epochs_left()))
        self._console.print(
            f"{self._done:>{len(str(self._plan.members))}}/{self._plan.members} runs  {self._name(chunk)}  "
            f"{_outcome(chunk, lines)}  {seconds:.1f} s  ETA {left}",
            markup=False,
        )

    def _count(self, chunk: PlannedChunk, lines: Sequence[Line]) -> None:
        self._done += len(chunk.members)
        self._failures += sum(diverged(run[-1]) for run in by_member(lines))

    def _show(self, chunk: PlannedChunk, epoch: int) -> None:
        failures = f", {self._failures} diverged" if self._failures else ""
        self._bar.update(
            self._task,
            description=f"{self._name(chunk)}{failures}",
            completed=self._epochs_done() + epoch * len(chunk.members),
            left=f"{self._done}/{self._plan.members} runs, ETA {self._left(chunk, epoch)}",
        )

    def _left(self, chunk: PlannedChunk, epoch: int) -> str:
        """The time left while `chunk` is being trained and has done so many epochs."""
        pace = self._pace.copy()
        pace.add(chunk.model, epoch * len(chunk.members), time.monotonic() - self._started)
        return _duration(pace.seconds(self._epochs_left() - Counter({chunk.model: epoch * len(chunk.members)})))

    def _cell(self, chunk: PlannedChunk) -> str:
        return f"{chunk.arm} ({chunk.workload})" if self._several else chunk.arm

    def _name(self, chunk: PlannedChunk) -> str:
        kind = "trial" if chunk.phase == TUNE else "seed"
        numbers = [member.trial if chunk.phase == TUNE else member.seed for member in chunk.members]
        several = f"{kind}s {numbers[0]} to {numbers[-1]}" if len(numbers) > 1 else f"{kind} {numbers[0]}"
        return f"{self._cell(chunk)}, {several}"

    def _epochs_done(self) -> int:
        return self._plan.member_epochs - sum(self._epochs_left().values())

    def _epochs_left(self) -> Counter[str]:
        """Of all runs that are not finished: model -> epochs."""
        left: Counter[str] = Counter()
        members = 0
        for chunk in self._plan.chunks:
            members += len(chunk.members)
            if members > self._done:
                left[chunk.model] += chunk.member_epochs
        return left


class Pace:
    """How long an epoch of a run takes, by model: compilation, training and evaluation, whatever a study waits for."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}
        self._epochs: dict[str, int] = {}

    def copy(self) -> Pace:
        return copy.deepcopy(self)

    def add(self, model: str, epochs: int, seconds: float) -> None:
        """Enters that so many epochs took so many seconds."""
        if epochs:
            self._seconds[model] = self._seconds.get(model, 0.0) + seconds
            self._epochs[model] = self._epochs.get(model, 0) + epochs

    def seconds(self, epochs: Mapping[str, int]) -> float | None:
        """Returns how long so many epochs of each model will take; `None` before anything is known.

        A model that has not been trained yet is taken to be like those that have.
        """
        rates = {model: self._seconds[model] / self._epochs[model] for model in self._epochs}
        if not rates:
            return None
        other = statistics.fmean(rates.values())
        return sum(count * rates.get(model, other) for model, count in epochs.items())


def _outcome(chunk: PlannedChunk, lines: Sequence[Line]) -> str:
    runs = by_member(lines)
    sound = [run[-1]["val_accuracy"] for run in runs if not diverged(run[-1])]
    failed = f"{len(runs) - len(sound)} of {len(runs)} diverged"
    if not sound:
        return failed
    name, value = ("best", max(sound)) if chunk.phase == TUNE else ("mean", statistics.fmean(sound))
    found = f"{name} val accuracy {value:.2%}"
    return found if len(sound) == len(runs) else f"{found}, {failed}"


def _duration(seconds: float | None) -> str:
    return "unknown" if seconds is None else str(datetime.timedelta(seconds=round(seconds)))
