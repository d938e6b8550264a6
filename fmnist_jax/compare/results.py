"""The files of a study: `plan.json`, `results.jsonl`, `chunks.jsonl` and `results.csv`, written and read strictly.

`plan.json` holds every run that is to be trained. `results.jsonl`, a line for each run and epoch, and `chunks.jsonl`,
a line for each chunk, are appended to, a chunk at a time, in the order of the plan, `chunks.jsonl` first: a chunk is
finished when all its lines are in `results.jsonl`. What a killed process left of an unfinished chunk is truncated at
the next start.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import itertools
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from fmnist_jax.compare.planned import Plan, PlannedChunk
from fmnist_jax.compare.records import FINAL, ChunkTiming, RunEpoch, TrainedRun
from fmnist_jax.errors import WorkdirError
from fmnist_jax.files.atomic import append, finite, json_lines, truncate, write_atomically
from fmnist_jax.files.reader import WorkdirReader
from fmnist_jax.train.epochs import other_metrics

PLAN, RESULTS, CHUNKS, TABLE = "plan.json", "results.jsonl", "chunks.jsonl", "results.csv"

_OLD_KEYS = {"places", "strategy"}  # of a chunk, before the keys were named padded_size and executor
# fmt: off
_TABLE_COLUMNS = (
    "member", "model", "epochs", "schedule", "arm", "optimizer", "trial", "seed", "diverged", "epoch", "step",
    "train_loss", "train_accuracy", "val_loss", "val_accuracy", "test_loss", "test_accuracy", "train_seconds",
)
# fmt: on


def write_plan(folder: Path, plan: Plan) -> None:
    """Writes `plan.json` atomically."""
    values = dataclasses.asdict(plan, dict_factory=_without_what_is_empty)
    write_atomically(folder / PLAN, (json.dumps(values, indent=1, allow_nan=False) + "\n").encode())


def _without_what_is_empty(items: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    optional = ("dataset", "additions", "batch_size", "warmup", "rank", "stop_after")
    return {key: value for key, value in items if key not in optional or value not in (None, "", (), [])}


def read_plan(reader: WorkdirReader) -> Plan:
    """Returns what `write_plan` wrote; raises `WorkdirError` where it is missing or damaged."""
    found = reader.object(PLAN)
    chunks = found.get("chunks")
    _check_version(reader, PLAN, chunks if isinstance(chunks, list) else [])
    plan = reader.record(Plan, found, PLAN)
    if [chunk.chunk for chunk in plan.chunks] != list(range(len(plan.chunks))):
        raise reader.error(PLAN, "does not have its chunks in order")
    return plan


def read_runs(reader: WorkdirReader) -> list[TrainedRun]:
    """Returns the runs that have ended, of unfinished chunks too, in the order of `results.jsonl`."""
    histories: dict[int, list[RunEpoch]] = {}
    for number, line in enumerate(_read_epochs(reader), start=1):
        history = histories.setdefault(line.member, [])
        if problem := _problem(history, line):
            raise reader.error(RESULTS, f"line {number} {problem}")
        history.append(line)
    runs = map(TrainedRun, histories.values())
    return [run for run in runs if run.last.epoch == run.last.budget or run.diverged]


def read_timings(reader: WorkdirReader) -> list[ChunkTiming]:
    """Returns the lines of `chunks.jsonl`; the last one may be of a chunk that is not finished."""
    if not reader.has(CHUNKS):
        return []
    _check_version(reader, CHUNKS, reader.objects(CHUNKS, allow_partial_tail=True))
    return reader.records(ChunkTiming, CHUNKS)


class Results:
    """The finished chunks of a study, on disk and in memory.

    **Attributes:**

    - `runs`: of all finished chunks; `timings`: one for each finished chunk.

    **Raises:** `WorkdirError` for files that no stop of a study can have left so, naming the line.
    """

    def __init__(self, folder: Path, plan: Plan):
        self._folder = folder
        self._reader = WorkdirReader(folder, "restore it, or take another --workdir to start over")
        chunks = self._recover(plan)
        self.runs = [run for chunk in chunks for run in chunk]
        self.timings = read_timings(self._reader)[: len(chunks)]
        if [timing.chunk for timing in self.timings] != list(range(len(chunks))):
            raise self._reader.error(CHUNKS, f"does not have chunks 0 to {len(chunks) - 1}, which are finished")
        self._keep(CHUNKS, len(chunks))

    def add(self, timing: ChunkTiming, runs: Sequence[TrainedRun]) -> None:
        """Adds a finished chunk: what it took, and its runs."""
        append(self._folder / CHUNKS, _as_lines([timing]))
        append(self._folder / RESULTS, _as_lines(line for run in runs for line in run.history))
        self.timings.append(timing)
        self.runs.extend(runs)

    def _recover(self, plan: Plan) -> list[list[TrainedRun]]:
        """Returns the runs of each finished chunk, and truncates the file after them."""
        by_chunk = [(n, list(lines)) for n, lines in itertools.groupby(_read_epochs(self._reader), lambda e: e.chunk)]
        finished: list[list[TrainedRun]] = []
        kept = 0
        for (number, lines), chunk in itertools.zip_longest(by_chunk, plan.chunks[: len(by_chunk)]):
            if chunk is None or number != chunk.chunk:
                raise self._reader.error(RESULTS, f"line {kept + 1} is not of chunk {len(finished)}, the next")
            runs = [TrainedRun(list(own)) for _, own in itertools.groupby(lines, lambda line: line.member)]
            if not _is_complete(runs, chunk):
                break
            finished.append(runs)
            kept += len(lines)
        if len(finished) + 1 < len(by_chunk):
            raise self._reader.error(RESULTS, f"line {kept + 1}: chunk {len(finished)} is not complete")
        self._keep(RESULTS, kept)
        return finished

    def _keep(self, name: str, lines: int) -> None:
        """Truncates the file to its first `lines` lines."""
        path = self._folder / name
        if path.exists():
            parts = path.read_bytes().splitlines(keepends=True)
            size = sum(map(len, parts[:lines]))
            if size < path.stat().st_size:
                truncate(path, size)


def write_table(folder: Path, runs: Iterable[TrainedRun]) -> None:
    """Writes `results.csv`, a row for each final run: what it is, the figures of its last epoch, its hyperparameters.

    `train_seconds` is of the whole run. Figures that are not finite or were not taken are left empty.
    """
    finals = [run for run in runs if run.last.phase == FINAL]
    names = dict.fromkeys(name for run in finals for name in (*run.last.metrics, *run.last.settings))
    text = io.StringIO()
    columns = ["dataset"] * any(run.last.dataset for run in finals) + list(_TABLE_COLUMNS)
    table = csv.DictWriter(text, [*columns, *names], restval="", lineterminator="\n")
    table.writeheader()
    for run in finals:
        seconds = sum(epoch.train_seconds for epoch in run.history)
        values = finite(vars(run.last) | {"diverged": run.diverged, "train_seconds": seconds})
        figures = {name: values[name] for name in columns}
        table.writerow({**values["metrics"], **run.last.settings, **figures})
    write_atomically(folder / TABLE, text.getvalue().encode())


def _read_epochs(reader: WorkdirReader) -> list[RunEpoch]:
    if not reader.has(RESULTS):
        return []
    lines = enumerate(reader.objects(RESULTS, allow_partial_tail=True), start=1)
    return [
        reader.record(RunEpoch, line | {"metrics": other_metrics(line)}, RESULTS, f"line {number} ")
        for number, line in lines
    ]


def _problem(history: Sequence[RunEpoch], line: RunEpoch) -> str | None:
    """What is wrong with a line that follows those of `history` in the file, all of the same member."""
    if history and _identity(line) != _identity(history[0]):
        return f"is of another run than the lines before it of member {line.member}"
    if line.epoch != len(history) + 1 or line.epoch > line.budget:
        return f"has epoch {line.epoch} of member {line.member}, not {len(history) + 1} of {line.budget}"
    if history and history[-1].diverged:
        return f"goes on after member {line.member} diverged"
    return None


def _identity(line: RunEpoch) -> tuple[object, ...]:
    return line.cell, line.phase, line.trial, line.seed, line.chunk


def _is_complete(runs: Sequence[TrainedRun], chunk: PlannedChunk) -> bool:
    """Whether these are all runs of the chunk, each with all its epochs or those until it diverged."""
    in_order = all([line.epoch for line in run.history] == list(range(1, len(run.history) + 1)) for run in runs)
    ended = all(len(run.history) == chunk.budget or run.diverged for run in runs)
    return in_order and ended and [run.last.member for run in runs] == [run.member for run in chunk.members]


def _check_version(reader: WorkdirReader, name: str, chunks: Iterable[Any]) -> None:
    old = sorted(_OLD_KEYS & {key for chunk in chunks if isinstance(chunk, dict) for key in chunk})
    if old:
        raise WorkdirError(
            f"{reader.path / name} was written by an older version of this program, with the key {old[0]!r}; "
            "continue with that version, or take another --workdir"
        )


def _as_lines(records: Iterable[RunEpoch | ChunkTiming]) -> bytes:
    """The records as JSON, one a line, without values that are the default (`None`: not taken); NaN as `null`."""
    return json_lines(map(_as_line, records))


def _as_line(record: RunEpoch | ChunkTiming) -> dict[str, Any]:
    values, defaults = vars(record), {field.name: field.default for field in dataclasses.fields(record)}
    line = {key: value for key, value in values.items() if value != defaults[key] and key != "metrics"}
    return line | dict(values.get("metrics", {}))
