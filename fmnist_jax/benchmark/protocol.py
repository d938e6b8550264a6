"""The parent's side of a contender's process: starting it, asking it, ending it.

One line of JSON each way: a list, the command and its arguments, and an object, the answer. The process says who it is
when its first step is done, and ends when its standard input does.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import select
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from fmnist_jax.benchmark.architecture import PROBLEMS, ConvAlgorithm, Precision, Problem

_LONGEST = 900.0  # seconds until an answer; the slowest compilation takes a tenth of it


@dataclasses.dataclass(frozen=True)
class Request:
    """What a process is to be.

    **Attributes:**

    - `module`, `variant`: as in `contenders.Entry`.
    - `problem`: a name in `architecture.PROBLEMS`.
    - `batch_size`: of training.
    - `cores`: how many of the cores it may use, 0 for all of the parent's.
    - `channels`: of the first convolution, the others in proportion; 0 for the network's own.
    - `precision`, `algorithm`: as in `architecture.Problem`.
    """

    module: str
    variant: str
    problem: str
    batch_size: int
    cores: int = 0
    channels: int = 0
    precision: Precision = ""
    algorithm: ConvAlgorithm = "auto"

    def specified(self) -> Problem:
        """Returns the problem with what is asked for."""
        problem = PROBLEMS[self.problem]
        problem = problem.widened(self.channels) if self.channels else problem
        return dataclasses.replace(
            problem, batch_size=self.batch_size, precision=self.precision, algorithm=self.algorithm
        )


class Failure(Exception):
    """A contender takes no further part; the message says why.

    **Attributes:**

    - `status`: `"unavailable"` where it lacks something here, `"failed"` where it broke down.
    """

    def __init__(self, status: str, message: str):
        super().__init__(message)
        self.status = status


class Child:
    """A contender's process; ended when left.

    **Arguments:**

    - `python`: the interpreter.
    - `folder`: for its log and the caches of its compiler: one that another process has filled makes its start warm.
    """

    def __init__(self, request: Request, python: str, folder: Path):
        folder.mkdir(parents=True, exist_ok=True)
        self._log = folder / "log"
        self._begun = time.perf_counter()
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [python, "-m", "fmnist_jax.benchmark.child", json.dumps(dataclasses.asdict(request))],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                bufsize=0,
                env={**os.environ, **_environment(folder)},
            )

    def __enter__(self) -> Child:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._process.stdin.close()  # type: ignore[union-attr]
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()  # type: ignore[union-attr]

    def first_step(self) -> tuple[float, Mapping[str, Any]]:
        """Waits for the first step; returns the seconds since the process was started, and what it says of itself."""
        introduction = self._answer()
        return time.perf_counter() - self._begun, introduction

    def ask(self, command: str, *arguments: object) -> Mapping[str, Any]:
        """Sends a command and returns the answer; raises `Failure` where there is none."""
        # A process that has ended is noticed when there is no answer.
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(f"{json.dumps([command, *arguments])}\n".encode())  # type: ignore[union-attr]
        return self._answer()

    def _answer(self) -> Mapping[str, Any]:
        stdout: Any = self._process.stdout
        if not select.select([stdout], [], [], _LONGEST)[0]:
            self._process.kill()
            raise Failure("failed", f"no answer within {_LONGEST:.0f} s")
        line = stdout.readline()
        answer = json.loads(line) if line else {"failed": self._last_words()}
        for status in ("unavailable", "failed"):
            if status in answer:
                raise Failure(status, answer[status])
        return dict(answer)

    def _last_words(self) -> str:
        code = self._process.wait()
        lines = self._log.read_text(errors="replace").split("\n")
        return f"{next((line.strip() for line in reversed(lines) if line.strip()), 'no message')} (exit code {code})"


def _environment(folder: Path) -> dict[str, str]:
    """Where the process finds this package and keeps compiled programs; several are to fit on one accelerator."""
    package = str(Path(__file__).resolve().parents[2])
    path = os.environ.get("PYTHONPATH")
    return {
        "PYTHONPATH": f"{package}{os.pathsep}{path}" if path else package,
        "JAX_COMPILATION_CACHE_DIR": str(folder / "jax"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "TORCHINDUCTOR_CACHE_DIR": str(folder / "inductor"),
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
    }
