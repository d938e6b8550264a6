"""Interleaved measurements, A B C, A B C, ..., and their summary: speeds, ratios of the same turn, the roofline.

Whatever else the machine does, it does to all candidates alike. Every candidate has a process of its own (`child`).
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import itertools
import json
import os
import select
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from fmnist_jax.benchmark.candidates import CANDIDATES, Entry
from fmnist_jax.benchmark.problem import Problem

Log = Callable[[str], None]
Spread = dict[str, float]
TASKS = ("train", "evaluate")  # of every candidate but the machine
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
    records: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder, contextlib.ExitStack() as stack:
        turns = []
        for candidate in candidates:
            record = records[candidate.label] = {"status": "measured", "first_step_seconds": [], "tasks": {}}
            turns.append(_turns(candidate, record, budget, Path(folder, candidate.label), log))
            stack.callback(turns[-1].close)
        # Each round takes one turn of every candidate.
        for _ in itertools.zip_longest(*turns):
            pass
    return records


def _turns(
    candidate: Candidate, record: dict[str, Any], budget: Budget, folder: Path, log: Log
) -> Generator[None, None, None]:
    """Starts the candidate in its first turn, and takes one measurement in each of the next, until it fails."""
    try:
        log(f"{candidate.label}: start and compile")
        for _ in range(candidate.starts - 1):
            with _started(candidate, record, folder):
                pass
        with _started(candidate, record, folder) as ask:
            for task in candidate.tasks:
                record["tasks"][task] = {**ask("prepare", task, budget.seconds), "seconds": []}
            for number, task in itertools.product(range(budget.repeats), candidate.tasks):
                yield
                log(f"{candidate.label}: {task}, measurement {number + 1} of {budget.repeats}")
                time.sleep(_REST_SECONDS)
                record["tasks"][task]["seconds"].append(ask("measure", task)["seconds"])
            yield  # the process ends after everyone's last measurement
            record["memory"] = ask("memory")
    except _Failure as failure:
        record |= failure.args[0]


class _Failure(Exception):
    """A candidate takes no further part; its argument is an answer with the `status` and its `reason`."""


@contextlib.contextmanager
def _started(candidate: Candidate, record: dict[str, Any], folder: Path) -> Iterator[Callable[..., dict[str, Any]]]:
    """Starts the process of a candidate, records its first step, and yields the function that sends it commands.

    **Arguments:**

    - `folder`: for its log and the caches of compilers; another start in the same folder finds them filled.
    """
    folder.mkdir(parents=True, exist_ok=True)
    request = {"problem": dataclasses.asdict(candidate.problem), "cores": candidate.cores}
    request |= {"module": candidate.entry.module, "variant": candidate.entry.variant}
    command = [candidate.python or sys.executable, "-m", "fmnist_jax.benchmark.child", json.dumps(request)]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "bufsize": 0}
    start = time.perf_counter()
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen(command, stderr=log, env=os.environ | _environment(folder), **pipes) as process,
    ):
        try:
            record |= _ask(process, folder)
            record["first_step_seconds"].append(time.perf_counter() - start)
            yield functools.partial(_ask, process, folder)
        finally:
            process.stdin.close()  # type: ignore[union-attr]
            try:
                process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                process.kill()


def _ask(process: Any, folder: Path, *command: object) -> dict[str, Any]:
    """Sends a command, none at the start, and returns the answer; raises `_Failure` where there is none."""
    if command:
        # A process that has ended is noticed when there is no answer.
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(f"{json.dumps(command)}\n".encode())
    if not select.select([process.stdout], [], [], _TIMEOUT)[0]:
        process.kill()
        raise _Failure({"status": "failed", "reason": f"no answer within {_TIMEOUT:.0f} s"})
    line = process.stdout.readline()
    if not line:
        code = process.wait()
        log = [line.strip() for line in (folder / "log").read_text(errors="replace").split("\n") if line.strip()]
        raise _Failure({"status": "failed", "reason": f"{log[-1] if log else 'no message'} (exit code {code})"})
    answer: dict[str, Any] = json.loads(line)
    if "status" in answer:
        raise _Failure(answer)
    return answer


def _environment(folder: Path) -> dict[str, str]:
    """Where the process finds this package and caches compiled programs; several must fit on one accelerator."""
    package, path = str(Path(__file__).resolve().parents[2]), os.environ.get("PYTHONPATH")
    return {
        "PYTHONPATH": f"{package}{os.pathsep}{path}" if path else package,
        "JAX_COMPILATION_CACHE_DIR": str(folder / "jax"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "TORCHINDUCTOR_CACHE_DIR": str(folder / "inductor"),
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
    }


def rates(record: Mapping[str, Any], task: str) -> list[float]:
    """Returns the work per second of each measurement of a candidate's task; empty where it was not measured."""
    if record["status"] != "measured" or task not in record["tasks"]:
        return []
    measured = record["tasks"][task]
    return [measured["work"] / seconds for seconds in measured["seconds"]]


def spread(values: Sequence[float]) -> Spread:
    """Returns the `median` of repeated measurements, the `low`est and the `high`est."""
    return {"median": statistics.median(values), "low": min(values), "high": max(values)}


def ratios(rates: Sequence[float], reference: Sequence[float]) -> Spread | None:
    """Returns the spread of the ratios of measurements of the same turn; `None` where one side was not measured."""
    return spread([a / b for a, b in zip(rates, reference, strict=True)]) if rates and reference else None


def summarise(problem: Problem, model: Mapping[str, Any], task: str) -> dict[str, Any]:
    """Returns everyone's examples per second, our speedup over each, the fastest peer, and our share of the roofline.

    What was not measured is missing: a candidate, or `None` for the fastest of Keras and PyTorch and for the roofline.
    """
    measured = {name: found for name, record in model["candidates"].items() if (found := rates(record, task))}
    ours = measured.get("ours", [])
    peers = [name for name in measured if CANDIDATES[name].framework in ("keras", "torch")]
    return {
        "examples_per_second": {name: spread(values) for name, values in measured.items()},
        "speedup_over": {name: ratios(ours, values) for name, values in measured.items() if ours and name != "ours"},
        "fastest_peer": max(peers, key=lambda name: statistics.median(measured[name]), default=None),
        "roofline": _roofline(problem, model["machine"], task, ours),
    }


def _roofline(problem: Problem, machine: Any, task: str, ours: Sequence[float]) -> dict[str, Any] | None:
    """The examples per second that the machine's matrix products and memory allow, and our share of them.

    Source: Williams, Waterman & Patterson, "Roofline: an insightful visual performance model for multicore
    architectures", CACM 2009. The share can exceed 1: the arithmetic is that of direct convolutions, and Winograd and
    FFT convolutions do with less.
    """
    flop_rates, bandwidths = rates(machine, "matmul"), rates(machine, "copy")
    if not (ours and flop_rates and bandwidths):
        return None
    flops, traffic = problem.flops(task), problem.traffic(task)
    ceilings = [ceiling(flops, traffic, *turn) for turn in zip(flop_rates, bandwidths, strict=True)]
    return {
        "flops_per_example": flops,
        "bytes_per_example": traffic,
        "machine_flops_per_second": statistics.median(flop_rates),
        "machine_bytes_per_second": statistics.median(bandwidths),
        "ceiling_examples_per_second": statistics.median(ceilings),
        "reached": ratios(ours, ceilings),
    }


def ceiling(flops: float, traffic: float, flop_rate: float, bandwidth: float) -> float:
    """Returns the examples per second that the machine allows, from operations and bytes per example and per second."""
    return min(flop_rate / flops, bandwidth / traffic)
