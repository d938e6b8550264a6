"""The whole benchmark: every model, every contender, the machine, our growth and numerics; and the files about it."""

from __future__ import annotations

import datetime
import json
import os
import platform
import shlex
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fmnist_jax.benchmark import figures, growth, numerics, plot, series, table
from fmnist_jax.benchmark.architecture import PROBLEMS
from fmnist_jax.benchmark.contenders import CONTENDERS, MACHINE, Entry
from fmnist_jax.benchmark.measure import Entrant
from fmnist_jax.benchmark.protocol import Request
from fmnist_jax.benchmark.settings import Settings
from fmnist_jax.files.atomic import write_atomically
from fmnist_jax.train.manifest import code


def run(workdir: Path, settings: Settings, say: series.Say) -> str:
    """Measures, and writes `benchmark.json`, `benchmark.md` and plots into `workdir`; returns the tables as text.

    The files are written after each table, so that a run that is stopped leaves what is complete.

    **Raises:** `ConfigError` for settings that do not hold, `WorkdirError` where the files cannot be written.
    """
    settings.check()
    record: dict[str, Any] = {"manifest": _manifest(settings), "models": {}, "growth": {}, "numerics": {}}
    _write(workdir, record)
    for model in settings.models:
        tell = series.about(model, say)
        record["models"][model] = _model(model, settings, tell)
        _write(workdir, record)
        for section, part, found in _ours(model, settings, _accelerated(record["models"][model]), tell):
            record[section].setdefault(model, {})[part] = found
            _write(workdir, record)
    return table.markdown(record)


def _model(model: str, settings: Settings, say: series.Say) -> dict[str, Any]:
    machine = Entrant("machine", _request(MACHINE, model), ("matmul", "copy"))
    entrants = [machine, *(_entrant(model, name, settings) for name in settings.contenders)]
    measured = series.in_a_folder(entrants, settings.effort, say)
    problem = PROBLEMS[model]
    found = {"machine": measured.pop("machine"), "contenders": measured}
    return {
        "batch_size": problem.batch_size,
        "optimizer": problem.optimizer,
        "parameters": problem.architecture.parameters(),
        **found,
        "summary": figures.summarise(problem, found),
    }


def _accelerated(model: Mapping[str, Any]) -> bool:
    # As JAX calls it. This process asks it for no device: on an accelerator that would take memory.
    return model["machine"].get("device", "cpu") != "cpu"


def _ours(
    model: str, settings: Settings, accelerator: bool, say: series.Say
) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Measures what there is of us alone; yields the section of the record, the part of it, and what it holds."""
    ours, effort, members = _request(CONTENDERS["ours"], model), settings.effort, settings.sizes(accelerator)
    # An accelerator's speed has nothing to do with the host's cores.
    axes = [axis for axis in settings.growth if not (accelerator and axis == "cores")]
    for axis, found in growth.measure(ours, axes, members, effort, say):
        yield "growth", axis, found
    for part, found in numerics.measure(ours, settings.numerics, members, accelerator, effort, say):
        yield "numerics", part, found


def _entrant(model: str, name: str, settings: Settings) -> Entrant:
    entry = CONTENDERS[name]
    return Entrant(name, _request(entry, model), figures.TASKS, settings.pythons.get(entry.framework, ""), starts=2)


def _request(entry: Entry, model: str) -> Request:
    return Request(entry.module, entry.variant, model, PROBLEMS[model].batch_size)


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
        "repeats": settings.effort.repeats,
        "seconds": settings.effort.seconds,
        "data": "random uint8 images of the real shape, in memory",
    }


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
