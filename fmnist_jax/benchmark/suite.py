"""The whole benchmark: every model, every candidate, the machine, our own growth; and the files about it."""

from __future__ import annotations

import dataclasses
import datetime
import json
import os
import platform
import shlex
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from fmnist_jax.benchmark import growth, plots, report
from fmnist_jax.benchmark.candidates import CANDIDATES, MACHINE
from fmnist_jax.benchmark.interleaved import Budget, Candidate, Log, interleaved, prefixed
from fmnist_jax.benchmark.problem import PROBLEMS, Problem
from fmnist_jax.errors import ConfigError, unknown_name
from fmnist_jax.files.atomic import write_atomically
from fmnist_jax.train.manifest import code

# Sizes of populations where the user names none.
_MEMBERS, _MEMBERS_ON_ACCELERATOR = [1, 2, 4, 8], [1, 8, 64, 256]


@dataclasses.dataclass(frozen=True)
class Settings:
    """What to measure, and how much; each attribute is a flag of `scripts/benchmark.py`.

    **Attributes:**

    - `pythons`: framework -> the interpreter that runs it, empty for this one.
    - `axes`, `numerics`: of our own training speed, names in `growth.GROWTH` and `growth.NUMERICS`.
    - `members`: sizes of the populations; empty: the defaults of the device.

    **Raises:** `ConfigError` for an unknown name or an interpreter that does not exist.
    """

    models: Sequence[str]
    contenders: Sequence[str]
    budget: Budget
    pythons: Mapping[str, str]
    axes: Sequence[str] = ()
    numerics: Sequence[str] = ()
    members: Sequence[str] = ()

    def __post_init__(self) -> None:
        _check_names("models", self.models, PROBLEMS, required=True)
        _check_names("contenders", self.contenders, CANDIDATES, required=True)
        _check_names("axes", self.axes, growth.GROWTH)
        _check_names("numerics", self.numerics, growth.NUMERICS)
        for size in self.members:
            if not size.isdecimal() or int(size) < 1:
                raise ConfigError(f"--members must be sizes of populations, as in 1,8,64, not {size!r}")
        for framework, python in self.pythons.items():
            if python and not os.access(python, os.X_OK):
                raise ConfigError(f"--{framework}_python={python} is no interpreter; give the path of one")

    def population_sizes(self, accelerator: bool) -> list[int]:
        """Returns how many members the populations have, on an accelerator or on a CPU."""
        return [int(size) for size in self.members] or (_MEMBERS_ON_ACCELERATOR if accelerator else _MEMBERS)


def _check_names(flag: str, given: Sequence[str], known: Collection[str], required: bool = False) -> None:
    if required and not given:
        raise ConfigError(f"--{flag} must name one or more of {', '.join(known)}")
    for name in given:
        if name not in known:
            raise unknown_name(f"--{flag}", name, known)


def run(workdir: Path, settings: Settings, log: Log) -> str:
    """Measures, and writes `benchmark.json`, `benchmark.md` and plots into `workdir`; returns the tables as text.

    The files are written after each table, so that a run that is stopped leaves what is complete.

    **Raises:** `WorkdirError` where the files cannot be written.
    """
    record: dict[str, Any] = {"manifest": _manifest(settings), "models": {}, "growth": {}}
    _write(workdir, record)
    for name in settings.models:
        log_model = prefixed(log, name)
        model = record["models"][name] = _model(PROBLEMS[name], settings, log_model)
        _write(workdir, record)
        # As JAX names it; this process does not ask JAX, which would take memory of an accelerator.
        accelerator = model["machine"].get("device", "cpu") != "cpu"
        ours, members = Candidate("ours", CANDIDATES["ours"], PROBLEMS[name]), settings.population_sizes(accelerator)
        for axis in [*settings.axes, *settings.numerics]:
            if accelerator and axis == "cores":
                continue  # an accelerator's speed does not depend on the host's cores
            for title, found in growth.measure(axis, ours, members, settings.budget, log_model):
                record["growth"].setdefault(name, {})[title] = found
                _write(workdir, record)
    return report.markdown(record)


def _model(problem: Problem, settings: Settings, log: Log) -> dict[str, Any]:
    candidates = [Candidate("machine", MACHINE, problem, ("matmul", "copy"))]
    for contender in settings.contenders:
        entry = CANDIDATES[contender]
        python = settings.pythons.get(entry.framework, "")
        candidates.append(Candidate(contender, entry, problem, report.TASKS, python, starts=2))
    measured = interleaved(candidates, settings.budget, log)
    found = {"machine": measured.pop("machine"), "candidates": measured}
    return {
        "batch_size": problem.batch_size,
        "optimizer": problem.optimizer,
        "parameters": problem.architecture.parameters(),
        **found,
        "summary": report.summarise(problem, found),
    }


def _manifest(settings: Settings) -> dict[str, Any]:
    return {
        "command": shlex.join(["python", *sys.argv]),
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        **code(),
        "python": platform.python_version(),
        "host": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "load_average": os.getloadavg()[0],
        **settings.budget._asdict(),
        "data": "random uint8 images of the real shape, in memory",
    }


def _processor() -> str:
    """The processor's name as Linux has it, else as Python has it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.processor()
    )


def _write(workdir: Path, record: Mapping[str, Any]) -> None:
    write_atomically(workdir / "benchmark.json", (json.dumps(record, indent=1) + "\n").encode())
    write_atomically(workdir / "benchmark.md", report.markdown(record).encode())
    if record["models"]:
        write_atomically(workdir / "benchmark.png", plots.speeds(record))
    if drawn := plots.growth(record):
        write_atomically(workdir / "benchmark_growth.png", drawn)
