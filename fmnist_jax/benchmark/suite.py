"""The whole benchmark: every model, every contender, the machine, the growth; and the files about it."""

from __future__ import annotations

import dataclasses
import datetime
import json
import os
import platform
import shlex
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from fmnist_jax.atomic import write_atomically
from fmnist_jax.benchmark import figures, plot, table
from fmnist_jax.benchmark.architecture import PROBLEMS
from fmnist_jax.benchmark.contenders import CONTENDERS, MACHINE, Entry
from fmnist_jax.benchmark.measure import Effort, Entrant, in_turn
from fmnist_jax.benchmark.protocol import Request
from fmnist_jax.errors import ConfigError, unknown_name
from fmnist_jax.train.manifest import code

_BATCH_SIZES = (64, 128, 256, 512, 1024)


@dataclasses.dataclass(frozen=True)
class Settings:
    """What to measure, and how much.

    **Attributes:**

    - `models`: names in `architecture.PROBLEMS`; `contenders`: in `contenders.CONTENDERS`.
    - `growth`: measure how our speed grows with batch size, cores and members of a population too.
    - `members`: for populations of so many.
    - `pythons`: framework -> the interpreter to run it with, where it is not this one.
    """

    models: Sequence[str]
    contenders: Sequence[str]
    effort: Effort
    growth: bool
    pythons: Mapping[str, str]
    members: Sequence[str] = ("1", "2", "4", "8")

    def check(self) -> None:
        """Raises `ConfigError` for a name that is unknown or an interpreter that is none."""
        for flag, given, known in (("models", self.models, PROBLEMS), ("contenders", self.contenders, CONTENDERS)):
            if not given:
                raise ConfigError(f"--{flag} must name one or more of {', '.join(known)}")
            for name in given:
                if name not in known:
                    raise unknown_name(f"--{flag}", name, known)
        for number in self.members:
            if not number.isdecimal() or int(number) < 1:
                raise ConfigError(f"--members must be numbers of members, as in 1,8,64, not {number!r}")
        for framework, python in self.pythons.items():
            if python and not os.access(python, os.X_OK):
                raise ConfigError(f"--{framework}_python={python} is no interpreter; give the path of one")


def run(workdir: Path, settings: Settings, say: Callable[[str], None]) -> str:
    """Measures, and writes `benchmark.json`, `benchmark.md` and plots into `workdir`; returns the tables as text.

    The files are written after each model, so that a run that is stopped leaves what is complete.

    **Raises:** `ConfigError` for settings that do not hold, `WorkdirError` where the files cannot be written.
    """
    settings.check()
    record: dict[str, Any] = {"manifest": _manifest(settings), "models": {}, "growth": {}}
    _write(workdir, record)
    for model in settings.models:
        _measure_model(record, model, settings, say)
        if settings.growth:
            record["growth"][model] = measure_growth(model, settings, say)
        _write(workdir, record)
    return table.markdown(record)


def _measure_model(record: dict[str, Any], model: str, settings: Settings, say: Callable[[str], None]) -> None:
    machine = Entrant("machine", _request(MACHINE, model), ("matmul", "copy"))
    entrants = [machine, *(_entrant(model, name, settings) for name in settings.contenders)]
    measured = _in_turn(entrants, settings.effort, model, say)
    problem = PROBLEMS[model]
    found = {"machine": measured.pop("machine"), "contenders": measured}
    record["models"][model] = {
        "batch_size": problem.batch_size,
        "optimizer": problem.optimizer,
        "parameters": problem.architecture.parameters(),
        **found,
        "summary": figures.summarise(problem, found),
    }


def _entrant(model: str, name: str, settings: Settings) -> Entrant:
    entry = CONTENDERS[name]
    return Entrant(name, _request(entry, model), figures.TASKS, settings.pythons.get(entry.framework, ""), starts=2)


def _request(entry: Entry, model: str) -> Request:
    return Request(entry.module, entry.variant, model, PROBLEMS[model].batch_size)


def measure_growth(model: str, settings: Settings, say: Callable[[str], None]) -> dict[str, Any]:
    """Measures our training of a model for one value after the other of each axis: axis -> value -> its record."""

    def population(strategy: str) -> dict[int, Request]:
        return {int(number): dataclasses.replace(ours, variant=f"{strategy} {number}") for number in settings.members}

    ours = _request(CONTENDERS["ours"], model)
    cores = {2**n for n in range(_cores().bit_length())} | {_cores()}
    axes = {
        "batch size": {size: dataclasses.replace(ours, batch_size=size) for size in _BATCH_SIZES},
        "cores": {number: dataclasses.replace(ours, cores=number) for number in sorted(cores) if number <= _cores()},
        "members (vmap)": population("vmap"),
        "members (loop)": population("loop"),
    }
    return {axis: _in_turn(_growing(points), settings.effort, f"{model}, {axis}", say) for axis, points in axes.items()}


def _growing(points: Mapping[int, Request]) -> list[Entrant]:
    return [Entrant(str(value), request, ("train",)) for value, request in points.items()]


def _in_turn(entrants: list[Entrant], effort: Effort, what: str, say: Callable[[str], None]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        return in_turn(entrants, effort, Path(folder), lambda text: say(f"{what}: {text}"))


def _manifest(settings: Settings) -> dict[str, Any]:
    return {
        "command": shlex.join(["python", *sys.argv]),
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        **code(),
        "python": platform.python_version(),
        "host": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": _cores(),
        "load_average": os.getloadavg()[0],
        "repeats": settings.effort.repeats,
        "seconds": settings.effort.seconds,
        "data": "random uint8 images of the real shape, in memory",
    }


def _cores() -> int:
    return len(os.sched_getaffinity(0))


def _processor() -> str:
    """The processor's name as Linux has it, else as Python."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _write(workdir: Path, record: Mapping[str, Any]) -> None:
    write_atomically(workdir / "benchmark.json", (json.dumps(record, indent=1) + "\n").encode())
    write_atomically(workdir / "benchmark.md", table.markdown(record).encode())
    if record["models"]:
        write_atomically(workdir / "benchmark.png", plot.speeds(record))
    if record["growth"]:
        write_atomically(workdir / "benchmark_growth.png", plot.growth(record))
