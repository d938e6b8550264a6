"""The whole benchmark: every model, every candidate, the machine, our own growth; and the files about it."""

from __future__ import annotations

import dataclasses
import datetime
import json
import os
import platform
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from fmnist_jax.benchmark import report
from fmnist_jax.benchmark.candidates import CANDIDATES, MACHINE
from fmnist_jax.benchmark.checks import check_names, check_sizes
from fmnist_jax.benchmark.interleaved import TASKS, Budget, Candidate, Log, interleaved, summarise
from fmnist_jax.benchmark.problem import PROBLEMS, Problem
from fmnist_jax.config.schema import CONV_ALGORITHMS
from fmnist_jax.errors import ConfigError
from fmnist_jax.files.atomic import write_atomically
from fmnist_jax.train.manifest import code, command_line

# The axes by the names of the flags --axes and --numerics, and their titles in the results.
GROWTH: Mapping[str, str] = {
    "batch": "batch size",
    "cores": "cores",
    "vmap": "members (vmap)",
    "threads": "members (threads)",
    "channels": "channels",
}
NUMERICS = ("precision", "algorithms")
# Sizes of populations where the user names none.
_MEMBERS, _MEMBERS_ON_ACCELERATOR = [1, 2, 4, 8], [1, 8, 64, 256]


@dataclasses.dataclass(frozen=True)
class Settings:
    """What to measure, and how much; each attribute is a flag of `scripts/benchmark.py`.

    **Attributes:**

    - `pythons`: framework -> the interpreter that runs it, empty for this one.
    - `axes`, `numerics`: of our own training speed, names in `GROWTH` and `NUMERICS`.
    - `members`: sizes of the populations; empty: the defaults of the device.
    - `batch_sizes`: every model is measured in each; empty: in its own, 256.

    **Raises:** `ConfigError` for an unknown name or an interpreter that does not exist.
    """

    models: Sequence[str]
    contenders: Sequence[str]
    budget: Budget
    pythons: Mapping[str, str]
    axes: Sequence[str] = ()
    numerics: Sequence[str] = ()
    members: Sequence[str] = ()
    batch_sizes: Sequence[str] = ()

    def __post_init__(self) -> None:
        check_names("models", self.models, PROBLEMS, required=True)
        check_names("contenders", self.contenders, CANDIDATES, required=True)
        check_names("axes", self.axes, GROWTH)
        check_names("numerics", self.numerics, NUMERICS)
        check_sizes("members", "sizes of populations, as in 1,8,64", self.members)
        check_sizes("batch_sizes", "numbers of images, as in 256,512", self.batch_sizes)
        for framework, python in self.pythons.items():
            if python and not os.access(python, os.X_OK):
                raise ConfigError(f"--{framework}_python={python} is no interpreter; give the path of one")

    def problems(self) -> dict[str, Problem]:
        """Returns what to measure, by its name in the results: that of the model, and the batch size if not its own."""
        found = {}
        for name in self.models:
            own = PROBLEMS[name]
            for size in [int(size) for size in self.batch_sizes] or [own.batch_size]:
                label = name if size == own.batch_size else f"{name}, batches of {size}"
                found[label] = dataclasses.replace(own, batch_size=size)
        return found

    def population_sizes(self, accelerator: bool) -> list[int]:
        """Returns how many members the populations have, on an accelerator or on a CPU."""
        return [int(size) for size in self.members] or (_MEMBERS_ON_ACCELERATOR if accelerator else _MEMBERS)


def _prefixed(log: Log, subject: str) -> Log:
    return lambda text: log(f"{subject}: {text}")


def run(workdir: Path, settings: Settings, log: Log) -> str:
    """Measures, and writes `benchmark.json`, `benchmark.md` and plots into `workdir`; returns the tables as text.

    The files are written after each table, so that a run that is stopped leaves what is complete.

    **Raises:** `WorkdirError` where the files cannot be written.
    """
    record: dict[str, Any] = {"manifest": _manifest(settings), "models": {}, "growth": {}}
    _write(workdir, record)
    for name, problem in settings.problems().items():
        log_model = _prefixed(log, name)
        model = record["models"][name] = _model(problem, settings, log_model)
        _write(workdir, record)
        # As JAX names it; this process does not ask JAX, which would take memory of an accelerator.
        accelerator = model["machine"].get("device", "cpu") != "cpu"
        members = settings.population_sizes(accelerator)
        for axis in [*settings.axes, *settings.numerics]:
            if accelerator and axis == "cores":
                continue  # an accelerator's speed does not depend on the host's cores
            for title, found in measure_growth(axis, problem, members, settings.budget, log_model):
                record["growth"].setdefault(name, {})[title] = found
                _write(workdir, record)
    return report.markdown(record)


def _model(problem: Problem, settings: Settings, log: Log) -> dict[str, Any]:
    candidates = [Candidate("machine", MACHINE, problem, ("matmul", "copy"))]
    for contender in settings.contenders:
        python = settings.pythons.get(CANDIDATES[contender].framework, "")
        candidates.append(Candidate(contender, CANDIDATES[contender], problem, TASKS, python, starts=2))
    measured = interleaved(candidates, settings.budget, log)
    found = {"machine": measured.pop("machine"), "candidates": measured}
    return {
        "batch_size": problem.batch_size,
        "optimizer": problem.optimizer,
        "parameters": problem.parameters(),
        **found,
        "summary": {task: summarise(problem, found, task) for task in TASKS},
    }


def measure_growth(
    axis: str, problem: Problem, members: Sequence[int], budget: Budget, log: Log
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Measures our training speed along an axis, a name in `GROWTH` or `NUMERICS`, with populations of these sizes.

    Yields the title and the records, by value, of each series: one, but for `algorithms` one for each population.
    Records are those of `interleaved` with `flops_per_example` of training, and `alone`: measured without the others,
    as a value is that failed beside them, since it may have lacked their memory.
    """
    for title, points in _series(axis, problem, members).items():
        log_series = _prefixed(log, title)
        records = interleaved(points, budget, log_series)
        for point in points:
            record = records[point.label]
            alone = len(points) > 1 and record["status"] == "failed"
            if alone:
                log_series(f"{point.label} failed, once more alone: {record['reason']}")
                record = interleaved([point], budget, log_series)[point.label]
            flops = point.problem.flops("train")
            records[point.label] = {**record, "flops_per_example": flops, "alone": alone}
        yield title, records


def _series(axis: str, problem: Problem, members: Sequence[int]) -> dict[str, list[Candidate]]:
    def point(value: object, variant: str = "", cores: int = 0, **changes: Any) -> Candidate:
        entry = CANDIDATES["ours"]._replace(variant=variant)
        return Candidate(str(value), entry, dataclasses.replace(problem, **changes), cores=cores)

    if axis == "batch":
        points = [point(size, batch_size=size) for size in (64, 128, 256, 512, 1024)]
    elif axis == "cores":
        most = len(os.sched_getaffinity(0))
        counts = sorted({2**n for n in range(most.bit_length())} | {most})
        points = [point(count, cores=count) for count in counts]
    elif axis == "channels":
        own = problem.channels
        points = [point(width, channels=width) for width in (own // 2, own, 2 * own, 4 * own)]
    elif axis == "precision":
        points = [point(precision, precision=precision) for precision in ("float32", "tf32", "bfloat16")]
    elif axis == "algorithms":
        return {
            f"algorithm, {size} members": [point(each, f"vmap {size}", algorithm=each) for each in CONV_ALGORITHMS]
            for size in members
        }
    else:
        points = [point(size, f"{axis} {size}") for size in members]
    return {GROWTH.get(axis, axis): points}


def _manifest(settings: Settings) -> dict[str, Any]:
    info = Path("/proc/cpuinfo")
    names = re.findall("^model name.*?: *(.+)", info.read_text(), re.MULTILINE) if info.exists() else []
    return {
        "command": command_line(),
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        **code(),
        "python": platform.python_version(),
        "host": f"{platform.system()} {platform.machine()}",
        "processor": names[0] if names else platform.processor(),
        "cores": len(os.sched_getaffinity(0)),
        "load_average": os.getloadavg()[0],
        **settings.budget._asdict(),
        "data": "random uint8 images of the real shape, in memory",
    }


def _write(workdir: Path, record: Mapping[str, Any]) -> None:
    write_atomically(workdir / "benchmark.json", (json.dumps(record, indent=1) + "\n").encode())
    write_atomically(workdir / "benchmark.md", report.markdown(record).encode())
    if record["models"]:
        write_atomically(workdir / "benchmark.png", report.draw_speeds(record))
    if drawn := report.draw_growth(record):
        write_atomically(workdir / "benchmark_growth.png", drawn)
