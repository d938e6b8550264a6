"""A candidate's own process, `python -m fmnist_jax.benchmark.child REQUEST`, started by `interleaved`.

Protocol: one line of JSON each way. The process introduces itself when its first step is done; then each line on its
standard input is a list, a command and its arguments, and is answered by an object. An answer with a `status` and its
`reason` is the last one. It ends when standard input does.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import resource
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

# Before a task counts as compiled: two, since a loop of one may be optimized away.
_FIRST_UNITS = 2


def main(request: Mapping[str, Any]) -> None:
    """Builds the candidate, does its first step, and answers commands until there are no more."""
    # Standard output is kept for answers; what libraries print goes to standard error, the log.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    if request["cores"]:
        # Before any framework is imported: they count the cores once.
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: request["cores"]])
    try:
        server = _Server(request)
        print(json.dumps(server.introduction()), file=answers)
        for line in sys.stdin:
            command, *arguments = json.loads(line)
            print(json.dumps(getattr(server, command)(*arguments)), file=answers)
    # Any error of a framework is reported in one line; the log has the traceback.
    except Exception as error:
        traceback.print_exc()
        print(json.dumps(_report(error)), file=answers)


def _report(error: Exception) -> dict[str, str]:
    from fmnist_jax.benchmark.candidates import Unavailable

    if isinstance(error, Unavailable):
        return {"status": "unavailable", "reason": str(error)}
    if isinstance(error, ModuleNotFoundError):
        return {"status": "unavailable", "reason": f"{error.name} is not installed"}
    return {"status": "failed", "reason": " ".join(f"{type(error).__name__}: {error}".split())[:500]}


class _Server:
    """One method per command, each returning the answer."""

    def __init__(self, request: Mapping[str, Any]):
        from fmnist_jax.benchmark.problem import Problem

        make = importlib.import_module(request["module"]).make
        self._implementation = make(Problem(**request["problem"]), request["variant"])
        self._tasks = self._implementation.tasks
        self._ready: dict[str, Callable[[], object]] = {}
        self._compile(next(iter(self._tasks)), _FIRST_UNITS)

    def introduction(self) -> dict[str, Any]:
        return {name: getattr(self._implementation, name) for name in ("parameters", "device", "versions")}

    def prepare(self, name: str, seconds: float) -> dict[str, Any]:
        """Prepares a measurement of the task of about `seconds`; answers with how much work that is."""
        task = self._tasks[name]
        if name not in self._ready:
            self._compile(name, _FIRST_UNITS)
        seconds_per_unit = self.measure(name)["seconds"] / _FIRST_UNITS
        units = max(_FIRST_UNITS, min(task.max_units, round(seconds / seconds_per_unit)))
        if units != _FIRST_UNITS:
            self._compile(name, units)
        return {"work": units * task.work, "units": units}

    def measure(self, name: str) -> dict[str, float]:
        start = time.perf_counter()
        self._ready[name]()
        return {"seconds": time.perf_counter() - start}

    def memory(self) -> dict[str, int | None]:
        """Answers with the peak of memory in bytes: this process's resident size, and that on the device."""
        # Not getrusage where /proc exists: it includes the parent's size at the fork.
        status = Path("/proc/self/status")
        if status.exists():
            host = int(re.search(r"VmHWM:\s+(\d+) kB", status.read_text())[1]) * 1024  # type: ignore[index]
        else:
            unit = 1 if sys.platform == "darwin" else 1024
            host = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
        return {"host": host, "device": self._implementation.device_memory()}

    def _compile(self, name: str, units: int) -> None:
        self._ready[name] = self._tasks[name].prepare(units)
        self._ready[name]()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
