"""Kills runs and studies without warning, resumes them, and holds them against one that nobody touched."""

from __future__ import annotations

import csv
import dataclasses
import itertools
import json
import random
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import jax
import numpy as np
from process_group import Pair
from run_script import Forked, start_script, study_arguments, train_arguments, write_data
from toy import write_csv

from fmnist_jax.train.evaluation import load_trained

# What a clock measured differs from run to run.
_TIMES = ("examples_per_second", "train_seconds", "eval_seconds", "statistics_seconds", "compile_seconds")
_INCOMPLETE = r"(warning: checkpoint \S+ is missing or incomplete\n)?"  # of what was being written
_STOPPED = rf"({_INCOMPLETE})(SIG\w+: stopping after this epoch; .*\n)?.*; run the same command again( to resume)?\n"
_SETTINGS = {"train__epochs": 4, "train__score_test": True}


def differences(run: Path, other: Path) -> list[str]:
    """Says in which of its results the finished run in the workdir `run` differs, by a bit or more, from `other`."""
    found = [name for name in ("config.json", "confusion_matrix.csv") if _bytes(run, name) != _bytes(other, name)]
    found += [name for name in ("summary.json", "metrics.jsonl") if _untimed(run / name) != _untimed(other / name)]
    found += [f"predictions.npz: {name}" for name in _unequal(_predictions(run), _predictions(other))]
    found += [f"checkpoint: {name}" for name in _unequal(_checkpoint(run), _checkpoint(other))]
    here, there = _files(run), _files(other)
    return found + [f"only one has {name}" for name in sorted(here ^ there)]


def study_differences(study: Path, other: Path) -> list[str]:
    """Says in which of its results the finished study in `study` differs, by a bit or more, from that in `other`."""
    found = [name for name in ("config.json", "plan.json") if _bytes(study, name) != _bytes(other, name)]
    found += [name for name in ("results.jsonl", "chunks.jsonl") if _untimed(study / name) != _untimed(other / name)]
    found += ["results.csv"] * (_table(study) != _table(other))
    here, there = _files(study), _files(other)
    return found + [f"only one has {name}" for name in sorted(here ^ there)]


@dataclasses.dataclass(frozen=True)
class Subject:
    """What is killed: the script, its data and arguments, what two finished ones differ in, how far one had come."""

    script: str
    data: Callable[[Path], Path]
    arguments: Callable[[Path, Path], list[str]]
    differences: Callable[[Path, Path], list[str]]
    stage: Callable[[Path], str]


Process: TypeAlias = subprocess.Popen[str] | Forked | Pair
Start: TypeAlias = Callable[..., Process]


def kill_and_resume(
    folder: Path,
    kills: int,
    seed: int,
    subject: Subject,
    start: Start = start_script,
    signals: Sequence[int] = (signal.SIGKILL,),
) -> list[str]:
    """Kills so many times in all, in `folder`, by one of the signals; returns all differences found, each a line.

    Moments are drawn evenly over a run's whole life: compilation, epochs, checkpoints, scoring, the report, and with
    `start_script` imports. A run that ends before its moment comes is compared and counts for nothing; the next begins
    anew.
    """
    moments = random.Random(seed)
    data = subject.data(folder / "data")

    def started(workdir: Path) -> Process:
        return start(subject.script, *subject.arguments(workdir, data))

    begun = time.monotonic()
    _finish(started(folder / "untouched"))
    life = time.monotonic() - begun
    done, runs, found = 0, 0, []
    while done < kills:
        workdir = folder / f"run{runs}"
        begun, moment, is_new = time.monotonic(), moments.uniform(0.05, life), not workdir.exists()
        number = moments.choice(signals)
        if _kill(started(workdir), moment, number):
            done += 1
            how = f"{signal.Signals(number).name} {done}, to run {runs} after {moment:.1f} s"
            print(f"{how}: {subject.stage(workdir)}", flush=True)
        else:
            if is_new:  # shorter than the first, which compiled, as long as the machine is as busy
                life = time.monotonic() - begun
            found += _compared(workdir, folder / "untouched", subject)
            runs += 1
    _finish(started(workdir))
    return found + _compared(workdir, folder / "untouched", subject)


def kill_at_every_write(folder: Path, subject: Subject, step: int = 1) -> list[str]:
    """Kills a run once just before it changes a file for the nth time, for every `step`th n, and resumes it.

    Returns all differences found, each a line.
    """
    data, found = subject.data(folder / "data"), []
    _finish(start_script(subject.script, *subject.arguments(folder / "untouched", data)))
    for n in itertools.count(1, step):
        workdir = folder / f"write{n}"
        arguments = subject.arguments(workdir, data)
        process = start_script(subject.script, *arguments, die_in=workdir, die_at=n)
        process.communicate()
        if process.returncode == 0:
            return found
        print(f"killed before write {n}: {subject.stage(workdir)}", flush=True)
        _finish(start_script(subject.script, *arguments))
        found += _compared(workdir, folder / "untouched", subject)
    raise AssertionError("a run writes without end")


def _kill(process: Process, moment: float, number: int) -> bool:
    """Sends the process the signal at its `moment`, and waits for its end; false where it ended well before."""
    try:
        _finish(process, moment)
        return False
    except subprocess.TimeoutExpired:
        process.send_signal(number)
        _, err = process.communicate()
        # By the signal itself, also before its handler was there; or with what the handler says.
        if process.returncode != -number and not (process.returncode == 128 + number and re.fullmatch(_STOPPED, err)):
            raise RuntimeError(f"signal {number} ended the script with {process.returncode}: {err}") from None
        return True


def _finish(process: Process, seconds: float | None = None) -> None:
    _, err = process.communicate(timeout=seconds)
    if process.returncode or not re.fullmatch(_INCOMPLETE, err):
        raise RuntimeError(f"the script ended with {process.returncode}: {err}")


def _stage(workdir: Path) -> str:
    """How far the killed run had come, by the files that it left."""
    return f"{_lines(workdir / 'metrics.jsonl')} epochs, {_left(workdir)}"


def _study_stage(workdir: Path) -> str:
    """How far the killed study had come, by the files that it left."""
    return f"{_lines(workdir / 'chunks.jsonl')} chunks, {_left(workdir)}"


def _lines(file: Path) -> int:
    return file.read_text().count("\n") if file.exists() else 0


def _left(workdir: Path) -> str:
    marks = ("config.json", "plan.json", "summary.json", "report.html")
    there = [name for name in marks if (workdir / name).exists()]
    unfinished = sorted(str(p.relative_to(workdir)) for p in workdir.rglob("*tmp*"))
    return f"has {', '.join(there) or 'nothing'}; half-written: {', '.join(unfinished) or 'nothing'}"


def _compared(workdir: Path, untouched: Path, subject: Subject) -> list[str]:
    found = [f"{workdir.name}: {difference}" for difference in subject.differences(workdir, untouched)]
    print(f"{workdir.name}: {'; '.join(found) or 'as the untouched one, bit for bit'}", flush=True)
    shutil.rmtree(workdir)
    return found


def _bytes(run: Path, name: str) -> bytes:
    return (run / name).read_bytes()


def _untimed(file: Path) -> list[dict[str, Any]]:
    text = file.read_text()
    records = [json.loads(text)] if file.suffix == ".json" else [json.loads(line) for line in text.splitlines()]
    return [{key: value for key, value in record.items() if key not in _TIMES} for record in records]


def _table(study: Path) -> list[dict[str, str]]:
    with (study / "results.csv").open() as file:
        return [{key: value for key, value in row.items() if key not in _TIMES} for row in csv.DictReader(file)]


def _predictions(run: Path) -> dict[str, np.ndarray]:
    with np.load(run / "predictions.npz") as file:
        return dict(file)


def _checkpoint(run: Path) -> dict[str, np.ndarray]:
    checkpoint = load_trained(run).checkpoint
    leaves = jax.tree_util.tree_leaves_with_path(checkpoint.state)
    arrays = {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in leaves}
    return arrays | {"epoch": np.asarray(checkpoint.epoch)}


def _unequal(arrays: dict[str, np.ndarray], others: dict[str, np.ndarray]) -> list[str]:
    def bits(name: str, of: dict[str, np.ndarray]) -> tuple[Any, ...] | None:
        return (of[name].dtype, of[name].shape, of[name].tobytes()) if name in of else None

    return [name for name in sorted(arrays | others) if bits(name, arrays) != bits(name, others)]


def _files(run: Path) -> set[str]:
    """The run's files but for TensorBoard's, of which each process writes one, and those within a checkpoint."""
    names = {str(path.relative_to(run)) for path in run.rglob("*") if "tensorboard" not in path.parts}
    return {name for name in names if not name.startswith("checkpoints/") or name.count("/") == 1}


RUN = Subject(
    "train", write_data, lambda workdir, data: train_arguments(workdir, data, **_SETTINGS), differences, _stage
)


def study(**settings: object) -> Subject:
    """A study with these settings, as `study_arguments` takes them."""

    def arguments(workdir: Path, data: Path) -> list[str]:
        return study_arguments(workdir, data, **settings)

    return Subject("compare", write_csv, arguments, study_differences, _study_stage)
