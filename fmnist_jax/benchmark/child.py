"""The contender's side of its process: `python -m fmnist_jax.benchmark.child REQUEST`, started by `protocol`."""

from __future__ import annotations

import importlib
import json
import os
import re
import resource
import sys
import time
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fmnist_jax.benchmark.task import Task

# What is done before a contender's first step counts as finished: two, since a loop of one may be compiled away.
_FIRST_UNITS = 2


def main(request: Mapping[str, Any]) -> None:
    """Makes the contender, does its first step, and answers commands until there are no more."""
    answers = _take_stdout()
    _keep_to_cores(request["cores"])
    try:
        server = _Server(request)
        _write(answers, server.introduction())
        for line in sys.stdin:
            command, *arguments = json.loads(line)
            _write(answers, getattr(server, command)(*arguments))
    # Whatever a framework raises is told in a line; its log has the rest.
    except Exception as error:
        traceback.print_exc()
        _write(answers, _report(error))


def _take_stdout() -> IO[str]:
    """Keeps standard output for answers; what libraries print goes to standard error."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return answers


def _keep_to_cores(cores: int) -> None:
    # Before any framework is imported: they count the cores once.
    if cores:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])


def _write(answers: IO[str], answer: Mapping[str, Any]) -> None:
    answers.write(f"{json.dumps(answer)}\n")
    answers.flush()


def _report(error: Exception) -> dict[str, str]:
    from fmnist_jax.benchmark.task import Unavailable

    if isinstance(error, Unavailable):
        return {"unavailable": str(error)}
    if isinstance(error, ModuleNotFoundError):
        return {"unavailable": f"{error.name} is not installed"}
    return {"failed": " ".join(f"{type(error).__name__}: {error}".split())[:500]}


class _Server:
    """One method per command, each returning the answer."""

    def __init__(self, request: Mapping[str, Any]):
        from fmnist_jax.benchmark.protocol import Request

        problem = Request(**request).specified()
        self._contender = importlib.import_module(request["module"]).make(problem, request["variant"])
        self._ready: dict[str, Any] = {}
        first = next(iter(self._contender.tasks))
        self._ready[first] = self._contender.tasks[first].prepare(_FIRST_UNITS)
        self._ready[first]()

    def introduction(self) -> dict[str, Any]:
        shown = ("parameters", "device", "versions")
        return {name: getattr(self._contender, name) for name in shown}

    def prepare(self, name: str, seconds: float) -> dict[str, Any]:
        """Gets ready to measure the task for about so many seconds, and says how much work that is."""
        task = self._contender.tasks[name]
        if task.whole:
            units = task.most
            self._ready[name] = task.prepare(units)
        else:
            units = self._prepare_for_about(seconds, name, task)
        return {"work": units * task.unit, "units": units}

    def _prepare_for_about(self, seconds: float, name: str, task: Task) -> int:
        if name not in self._ready:
            self._ready[name] = task.prepare(_FIRST_UNITS)
            self._ready[name]()
        each = _seconds(self._ready[name]) / _FIRST_UNITS
        units = max(_FIRST_UNITS, min(task.most, round(seconds / each)))
        if units != _FIRST_UNITS:
            self._ready[name] = task.prepare(units)
            self._ready[name]()
        return units

    def measure(self, name: str) -> dict[str, float]:
        return {"seconds": _seconds(self._ready[name])}

    def memory(self) -> dict[str, int | None]:
        return {"host": _peak_memory(), "device": self._contender.device_memory()}


def _seconds(go: Any) -> float:
    begun = time.perf_counter()
    go()
    return time.perf_counter() - begun


def _peak_memory() -> int:
    """The largest resident size that this process has had, in bytes."""
    # Not getrusage where /proc is there: across the start of a process it counts what the parent took.
    status = Path("/proc/self/status")
    if status.exists():
        return int(re.search(r"VmHWM:\s+(\d+) kB", status.read_text())[1]) * 1024  # type: ignore[index]
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
