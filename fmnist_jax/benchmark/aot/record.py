"""What was found for one config and target, as JSON, and the table of several."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
from ml_collections import ConfigDict

from fmnist_jax.benchmark.aot.programs import PROGRAMS, Variant, measure
from fmnist_jax.benchmark.aot.targets import Target
from fmnist_jax.benchmark.problem import TEST_EXAMPLES, TRAIN_EXAMPLES
from fmnist_jax.files.markdown import markdown_table
from fmnist_jax.files.reader import WorkdirReader
from fmnist_jax.runtime.devices import cores
from fmnist_jax.train.manifest import code, command_line, versions

_COMPILERS = ("libtpu", "jax-cuda13-plugin")
# The study that the table's last column is about.
_RUNS, _OPTIMIZERS = 320, 10
# Compiling takes longer while the machine does other things, of CPU time about the same.
_SECONDS = "compile_cpu_seconds"
_HEADER = ["", "members", "numbers", "convolutions", "compiling epoch / step / evaluation, s of CPU", "MFLOP an image"]
_HEADER += ["kB an image", "to a single run's", "MB a member", "members that fit", "images/s at most", "bound by"]
_HEADER += [f"{_RUNS} runs, min"]


def measured(
    config: ConfigDict, name: str, target: Target, plan: Iterable[tuple[Variant, str]], log: Callable[[str], None]
) -> Iterator[dict[str, Any]]:
    """Compiles the programs of a plan; yields, after each of them, all that was found, ready for JSON.

    **Arguments:**

    - `name`: of the config; `log`: told of each program that is done.
    """
    options: Any = jax.config
    record: dict[str, Any] = {
        "config": name,
        "target": target.name,
        "chip": None if target.chip is None else vars(target.chip),
        "optimization_level": options.jax_optimization_level,
        "optimizer": config.optimizer.name,
        "train_examples": TRAIN_EXAMPLES - config.data.val_examples,
        "epochs": config.train.epochs,
        "batch_size": config.train.batch_size,
        "eval_batch_size": config.train.eval_batch_size,
        "command": command_line(),
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        **code(),
        "versions": versions() | _compilers(),
        "cores": cores(),
        "programs": [],
    }
    for variant, program in plan:
        row = measure(config, target, variant, program)
        record["programs"].append({**row, "load_average": os.getloadavg()[0]})
        log(f"{program}, {', '.join(map(str, variant))}: {row['error'] or 'compiled'} in {row[_SECONDS]:.1f} s of CPU")
        yield record


def _compilers() -> dict[str, str]:
    """The versions of the compilers for accelerators that are installed."""
    installed = {each.name: each.version for each in importlib.metadata.distributions()}
    return {name: installed[name] for name in _COMPILERS if name in installed}


def read(file: Path) -> dict[str, Any]:
    """Returns the record in a file; raises `WorkdirError` where it is none."""
    reader = WorkdirReader(file.parent, "give files that --output wrote")
    record = reader.object(file.name)
    if missing := {"config", "target", "optimization_level", "programs"} - record.keys():
        raise reader.error(file.name, f"has no {', '.join(sorted(missing))}")
    return record


def communicating(record: Mapping[str, Any]) -> list[str]:
    """Returns the programs of populations in which devices communicate: there is to be none."""
    return [
        f"{row['program']} of {row['members']} members: {', '.join(row['collectives'])}"
        for row in record["programs"]
        if row["members"] > 1 and row["collectives"]
    ]


def markdown(records: Sequence[Mapping[str, Any]]) -> str:
    """Returns a table for each target and optimization level, with a row for each way to run a config."""
    blocks, tables = [], [_title(record) for record in records]
    for title in dict.fromkeys(tables):
        rows = [row for record, own in zip(records, tables, strict=True) if own == title for row in _rows(record)]
        blocks += [f"### {title}", markdown_table(_HEADER, rows, "lrll" + "r" * 7 + "lr")]
    return "\n\n".join(blocks) + "\n"


def _title(record: Mapping[str, Any]) -> str:
    level = record["optimization_level"]
    return record["target"] + ("" if level == "UNKNOWN" else f", compiled at {level}")


def _rows(record: Mapping[str, Any]) -> Iterator[list[str]]:
    """Yields the cells of each variant, from its programs by name."""
    variants: dict[Variant, dict[str, Any]] = {}
    for row in record["programs"]:
        variants.setdefault(Variant(row["members"], row["precision"], row["algorithm"]), {})[row["program"]] = row
    for variant, programs in variants.items():
        single = variants.get(variant._replace(members=1), {}).get("step")
        step, epoch = programs.get("step", {}), programs.get("epoch", {})
        compiling = " / ".join(_compiled(programs.get(name)) for name in PROGRAMS)
        images = variant.members * record["batch_size"]
        fit = min((each["members_fit"] for each in programs.values() if each["members_fit"] is not None), default=None)
        yield [
            record["config"],
            *map(str, variant),
            compiling,
            _number(step.get("flops"), 1e6 * images),
            _number(step.get("bytes"), 1e3 * images),
            _relative(step, single, variant.members),
            _number(epoch.get("member_bytes") or step.get("member_bytes"), 1e6),
            _number(fit),
            _number(step.get("images_per_second")),
            step.get("bound") or "",
            _study(record, programs),
        ]


def _number(value: float | None, unit: float = 1.0) -> str:
    """Returns the number in that unit, with three digits or more; nothing for none."""
    if value is None:
        return ""
    value /= unit
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _compiled(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return "-"
    return f"{row[_SECONDS]:.0f}" if row["error"] is None else row["error"]


def _relative(step: Mapping[str, Any], single: Mapping[str, Any] | None, members: int) -> str:
    """Returns a member's arithmetic and bytes in a population, relative to those of a single run."""
    if members == 1 or not single or not step.get("bytes") or not single["bytes"]:
        return ""
    arithmetic, traffic = (step[key] / members / single[key] for key in ("flops", "bytes"))
    return f"{arithmetic:.2f} x, {traffic:.2f} x"


def _study(record: Mapping[str, Any], programs: Mapping[str, Mapping[str, Any]]) -> str:
    """Returns the minutes to compile the study on one core, and to train it on one device by the roofline."""
    if any(programs.get(name, {}).get("error", "none") is not None for name in PROGRAMS):
        return ""
    speeds = [programs[name]["images_per_second"] for name in ("step", "evaluate")]
    if None in speeds:
        return ""
    images = record["train_examples"], TEST_EXAMPLES
    seconds = sum(number / speed for number, speed in zip(images, speeds, strict=True))
    compiling = _OPTIMIZERS * (programs["epoch"][_SECONDS] + programs["evaluate"][_SECONDS])
    return f"{compiling / 60:.1f} + {_RUNS * record['epochs'] * seconds / 60:.1f}"
