"""The results of a study: `results.jsonl`, a line for each run and epoch, and `chunks.jsonl`, what each chunk took.

Both are only ever added to, a chunk at a time, in the order of the plan, `chunks.jsonl` first: a chunk is finished when
all its lines are in `results.jsonl`. What a killed process left of an unfinished one is cut off at the next start.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from fmnist_jax.compare.plan import Plan, PlannedChunk
from fmnist_jax.files.atomic import append, truncate
from fmnist_jax.files.json_files import json_lines
from fmnist_jax.files.reader import WorkdirReader
from fmnist_jax.train.epoch_record import diverged
from fmnist_jax.train.population import Outcome

Line: TypeAlias = dict[str, Any]

RESULTS, CHUNKS = "results.jsonl", "chunks.jsonl"


class Results:
    """The finished chunks of a study, on disk and in memory.

    **Attributes:**

    - `lines`: of each finished chunk, those of `results.jsonl`; `chunks`: those of `chunks.jsonl`.

    **Raises:** `WorkdirError` for files that no stop of a study can have left so, naming the line.
    """

    def __init__(self, path: Path, plan: Plan):
        self._path = path
        self._folder = WorkdirReader(path, "restore it, or take another --workdir to start over")
        self.lines = self._recover(plan)
        self.chunks = self._recover_chunks()

    @property
    def runs(self) -> int:
        """How many runs are in them."""
        return sum(took["members"] for took in self.chunks)

    def add(self, took: Line, lines: Sequence[Line]) -> None:
        """Adds a finished chunk: what it took, and the lines of its runs."""
        append(self._path / CHUNKS, json_lines([took]))
        append(self._path / RESULTS, json_lines(lines))
        self.chunks.append(took)
        self.lines.append(list(lines))

    def _recover(self, plan: Plan) -> list[list[Line]]:
        found = self._read(RESULTS)
        by_chunk = [(number, list(lines)) for number, lines in itertools.groupby(found, lambda line: line.get("chunk"))]
        finished: list[list[Line]] = []
        kept = 0
        for (number, lines), chunk in itertools.zip_longest(by_chunk, plan.chunks[: len(by_chunk)]):
            if chunk is None or number != chunk.chunk:
                raise self._folder.error(RESULTS, f"line {kept + 1} is not of chunk {len(finished)}, the next")
            if not _is_whole(lines, chunk):
                break
            finished.append(lines)
            kept += len(lines)
        if len(finished) + 1 < len(by_chunk):
            raise self._folder.error(RESULTS, f"line {kept + 1}: chunk {len(finished)} is not whole")
        self._keep(RESULTS, kept)
        return finished

    def _recover_chunks(self) -> list[Line]:
        found = self._read(CHUNKS)[: len(self.lines)]
        if [line.get("chunk") for line in found] != list(range(len(self.lines))):
            raise self._folder.error(CHUNKS, f"does not have chunks 0 to {len(self.lines) - 1}, which are finished")
        self._keep(CHUNKS, len(found))
        return found

    def _read(self, name: str) -> list[Line]:
        return self._folder.objects(name, allow_partial_tail=True) if self._folder.has(name) else []

    def _keep(self, name: str, lines: int) -> None:
        """Cuts off what stands in the file behind its first `lines` lines."""
        path = self._path / name
        if path.exists():
            parts = path.read_bytes().splitlines(keepends=True)
            size = sum(map(len, parts[:lines]))
            if size < path.stat().st_size:
                truncate(path, size)


def by_member(lines: Iterable[Line]) -> list[list[Line]]:
    """Returns the lines of each run by itself; they stand together in the file."""
    return [list(own) for _, own in itertools.groupby(lines, lambda line: line["member"])]


def lines_of(chunk: PlannedChunk, outcome: Outcome) -> list[Line]:
    """Returns the lines of a chunk's runs, from what came out of it; `chunk` has the settings of all of them."""
    shared = {"model": chunk.model, "epochs": chunk.epochs, "schedule": chunk.schedule, "arm": chunk.arm}
    shared |= {"optimizer": chunk.optimizer, "phase": chunk.phase}
    seconds = zip(outcome.train_seconds, outcome.eval_seconds, strict=True)
    shares = [{"train_seconds": t / len(chunk.members), "eval_seconds": e / len(chunk.members)} for t, e in seconds]
    lines = []
    for member, history in zip(chunk.members, outcome.histories, strict=True):
        own = {"trial": member.trial, "seed": member.seed, "hyperparameters": member.hyperparameters}
        own |= {"member": member.member, "chunk": chunk.chunk}
        for record, share in zip(history, shares, strict=False):  # the history of one that diverged ends early
            lines.append({**shared, **own, **{key: record[key] for key in FIGURES if key in record}, **share})
    return lines


# Of an epoch; those of the test set only where it was scored.
FIGURES = (
    "epoch",
    "step",
    "train_loss",
    "train_accuracy",
    "val_loss",
    "val_accuracy",
    "test_loss",
    "test_accuracy",
)


def _is_whole(lines: Sequence[Line], chunk: PlannedChunk) -> bool:
    """Whether these are all lines of the chunk: of each run those of all its epochs, unless it diverged before."""
    try:
        runs = {run[0]["member"]: run for run in by_member(lines)}
        return list(runs) == [member.member for member in chunk.members] and all(
            [line["epoch"] for line in run] == list(range(1, len(run) + 1))
            and (len(run) == chunk.epochs or diverged(run[-1]))
            for run in runs.values()
        )
    except (KeyError, TypeError):
        return False
