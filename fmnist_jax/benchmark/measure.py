"""Measuring in turn: A B C, A B C, ... , so that whatever else the machine does, it does to all of them."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from fmnist_jax.benchmark.protocol import Child, Failure, Request

# Seconds of rest before a measurement: the threads of whoever computed before stop waiting for more work.
_REST = 0.1


@dataclasses.dataclass(frozen=True)
class Entrant:
    """Who is measured at what.

    **Attributes:**

    - `label`: its name among the entrants.
    - `tasks`: the names of its tasks to measure.
    - `python`: the interpreter to run it, empty for this one.
    - `starts`: how many times to start it for the time of its first step. The first finds no compiled program of its
      own, the others do where the framework keeps them.
    """

    label: str
    request: Request
    tasks: tuple[str, ...]
    python: str = ""
    starts: int = 1


@dataclasses.dataclass(frozen=True)
class Effort:
    """How much to measure: so many `repeats` of each task, each of about so many `seconds`."""

    repeats: int
    seconds: float


def in_turn(entrants: Sequence[Entrant], effort: Effort, folder: Path, say: Callable[[str], None]) -> dict[str, Any]:
    """Starts everyone, has them prepare, and measures them in turn.

    **Arguments:**

    - `folder`: for logs and compilers' caches, empty.
    - `say`: told what is going on.

    **Returns:** by label `status` (`"measured"`, `"unavailable"`, `"failed"`) with its `reason`; what the contender
    says of itself; `first_step_seconds`, one for each start; `memory`; and by task the `work` in each measurement and
    the `seconds` that they took.
    """
    with contextlib.ExitStack() as stack:
        runners = [_Runner(entrant, folder / entrant.label, stack) for entrant in entrants]
        for runner in runners:
            say(f"{runner.entrant.label}: start and compile")
            runner.attempt(functools.partial(_Runner.start, seconds=effort.seconds))
        for number in range(effort.repeats):
            say(f"measurement {number + 1} of {effort.repeats}")
            for runner, task in _turns(runners):
                runner.attempt(functools.partial(_Runner.measure, task=task))
        for runner in runners:
            runner.attempt(_Runner.finish)
        return {runner.entrant.label: runner.record for runner in runners}


def _turns(runners: Sequence[_Runner]) -> Iterator[tuple[_Runner, str]]:
    """Everyone's first tasks, then everyone's second."""
    for place in range(max(len(runner.entrant.tasks) for runner in runners)):
        yield from ((runner, runner.entrant.tasks[place]) for runner in runners if place < len(runner.entrant.tasks))


class _Runner:
    """An entrant's process, and the record of it; out of the game once it has failed."""

    def __init__(self, entrant: Entrant, folder: Path, stack: contextlib.ExitStack):
        self.entrant = entrant
        self.record: dict[str, Any] = {"status": "measured", "first_step_seconds": [], "tasks": {}}
        self._folder, self._stack = folder, stack
        self._child: Child | None = None

    def attempt(self, action: Callable[[_Runner], None]) -> None:
        """Does the action unless an earlier one failed, and notes where it does."""
        if self.record["status"] != "measured":
            return
        try:
            action(self)
        except Failure as failure:
            self.record |= {"status": failure.status, "reason": str(failure)}

    def start(self, seconds: float) -> None:
        for _ in range(self.entrant.starts - 1):
            with self._new_child() as child:
                self._first_step(child)
        self._child = self._stack.enter_context(self._new_child())
        self._first_step(self._child)
        for task in self.entrant.tasks:
            self.record["tasks"][task] = {**self._child.ask("prepare", task, seconds), "seconds": []}

    def measure(self, task: str) -> None:
        time.sleep(_REST)
        assert self._child
        self.record["tasks"][task]["seconds"].append(self._child.ask("measure", task)["seconds"])

    def finish(self) -> None:
        assert self._child
        self.record["memory"] = dict(self._child.ask("memory"))

    def _new_child(self) -> Child:
        return Child(self.entrant.request, self.entrant.python or sys.executable, self._folder)

    def _first_step(self, child: Child) -> None:
        seconds, introduction = child.first_step()
        self.record |= introduction
        self.record["first_step_seconds"].append(seconds)
