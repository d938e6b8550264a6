"""Interleaved measurements, A B C, A B C, ...: what else the machine does meanwhile, it does to all candidates alike.

Every candidate has a process of its own (`child`).
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from fmnist_jax.benchmark.candidates import Entry
from fmnist_jax.benchmark.problem import Problem

Log = Callable[[str], None]
_REST_SECONDS = 0.1  # before a measurement, so that the threads of the candidate before stop spinning
_TIMEOUT = 900.0  # seconds until an answer; the slowest compilation takes a tenth of it


@dataclasses.dataclass(frozen=True)
class Candidate:
    """Who is measured at what.

    **Attributes:**

    - `label`: its name among those measured together.
    - `tasks`: the names of its tasks to measure.
    - `python`: the interpreter that runs it, empty for this one.
    - `cores`: how many of the cores it may use, 0 for all.
    - `starts`: how often to start it for the time of its first step: the first start finds no compiled program, the
      others do where the framework caches them.
    """

    label: str
    entry: Entry
    problem: Problem
    tasks: tuple[str, ...] = ("train",)
    python: str = ""
    cores: int = 0
    starts: int = 1


class Budget(NamedTuple):
    """How much to measure: `repeats` of each task, of about `seconds` each."""

    repeats: int
    seconds: float


def interleaved(candidates: Sequence[Candidate], budget: Budget, log: Log) -> dict[str, Any]:
    """Starts all candidates, prepares their tasks, and measures them in turn.

    **Returns:** by label `status` (`"measured"`, `"unavailable"`, `"failed"`) with its `reason`; the candidate's
    `parameters`, `device` and `versions`; `first_step_seconds`, one for each start; peak `memory`; and by task the
    `work` of each measurement and the `seconds` of all.
    """
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder, contextlib.ExitStack() as stack:
        runners = [_Runner(candidate, Path(folder, candidate.label), stack) for candidate in candidates]
        for runner in runners:
            log(f"{runner.candidate.label}: start and compile")
            runner.attempt(runner.start, budget.seconds)
        turn = [
            (runner, task)
            for place in range(max(len(candidate.tasks) for candidate in candidates))
            for runner in runners
            for task in runner.candidate.tasks[place : place + 1]
        ]
        for number in range(budget.repeats):
            log(f"measurement {number + 1} of {budget.repeats}")
            for runner, task in turn:
                runner.attempt(runner.measure, task)
        for runner in runners:
            runner.attempt(runner.finish)
        return {runner.candidate.label: runner.record for runner in runners}


class _Failure(Exception):
    """A candidate takes no further part; `status` is `"unavailable"` or `"failed"`, the message says why."""

    def __init__(self, status: str, message: str):
        super().__init__(message)
        self.status = status


class _Runner:
    """A candidate's process and the record of it; it takes no further part once it has failed."""

    def __init__(self, candidate: Candidate, folder: Path, stack: contextlib.ExitStack):
        self.candidate = candidate
        self.record: dict[str, Any] = {"status": "measured", "first_step_seconds": [], "tasks": {}}
        self._folder, self._stack = folder, stack

    def attempt(self, action: Callable[..., None], *arguments: object) -> None:
        """Does the action unless an earlier one failed, and records its failure."""
        if self.record["status"] == "measured":
            try:
                action(*arguments)
            except _Failure as failure:
                self.record |= {"status": failure.status, "reason": str(failure)}

    def start(self, seconds: float) -> None:
        for _ in range(self.candidate.starts - 1):
            with self._process():
                pass
        self._child = self._stack.enter_context(self._process())
        for task in self.candidate.tasks:
            self.record["tasks"][task] = {**self._child.ask("prepare", task, seconds), "seconds": []}

    def measure(self, task: str) -> None:
        time.sleep(_REST_SECONDS)
        self.record["tasks"][task]["seconds"].append(self._child.ask("measure", task)["seconds"])

    def finish(self) -> None:
        self.record["memory"] = self._child.ask("memory")

    @contextlib.contextmanager
    def _process(self) -> Iterator[_Process]:
        """The process after its first step, which is recorded."""
        start = time.perf_counter()
        with _Process(self.candidate, self._folder) as process:
            self.record |= process.answer()
            self.record["first_step_seconds"].append(time.perf_counter() - start)
            yield process


class _Process:
    """The parent's side of `child`.

    **Arguments:**

    - `folder`: for its log and the caches of compilers; another start in the same folder finds them filled.
    """

    def __init__(self, candidate: Candidate, folder: Path):
        folder.mkdir(parents=True, exist_ok=True)
        self._log = folder / "log"
        request = {"problem": dataclasses.asdict(candidate.problem), "cores": candidate.cores}
        request |= {"module": candidate.entry.module, "variant": candidate.entry.variant}
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [candidate.python or sys.executable, "-m", "fmnist_jax.benchmark.child", json.dumps(request)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                bufsize=0,
                env=os.environ | _environment(folder),
            )

    def __enter__(self) -> _Process:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._process.stdin.close()  # type: ignore[union-attr]
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()  # type: ignore[union-attr]

    def ask(self, command: str, *arguments: object) -> dict[str, Any]:
        """Sends a command and returns the answer; raises `_Failure` where there is none."""
        # A process that has ended is noticed when there is no answer.
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(f"{json.dumps([command, *arguments])}\n".encode())  # type: ignore[union-attr]
        return self.answer()

    def answer(self) -> dict[str, Any]:
        stdout: Any = self._process.stdout
        if not select.select([stdout], [], [], _TIMEOUT)[0]:
            self._process.kill()
            raise _Failure("failed", f"no answer within {_TIMEOUT:.0f} s")
        line = stdout.readline()
        answer: dict[str, Any] = json.loads(line) if line else {"failed": self._last_log_line()}
        for status in ("unavailable", "failed"):
            if status in answer:
                raise _Failure(status, answer[status])
        return answer

    def _last_log_line(self) -> str:
        code = self._process.wait()
        lines = [line.strip() for line in self._log.read_text(errors="replace").split("\n") if line.strip()]
        return f"{lines[-1] if lines else 'no message'} (exit code {code})"


def _environment(folder: Path) -> dict[str, str]:
    """Where the process finds this package and caches compiled programs; several must fit on one accelerator."""
    package = str(Path(__file__).resolve().parents[2])
    path = os.environ.get("PYTHONPATH")
    return {
        "PYTHONPATH": f"{package}{os.pathsep}{path}" if path else package,
        "JAX_COMPILATION_CACHE_DIR": str(folder / "jax"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "TORCHINDUCTOR_CACHE_DIR": str(folder / "inductor"),
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
    }
