"""The ledger: a line before each scoring of the test set for a record, and a line with the score after it.

A line of intent that no score follows is of a run that was stopped in between: it is run again, and the line stays.
"""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Collection
from pathlib import Path
from typing import Literal

from fmnist_jax.errors import ConfigError
from fmnist_jax.files.atomic import append, json_lines, truncate
from fmnist_jax.files.reader import WorkdirReader
from fmnist_jax.records.timed import Outcome


@dataclasses.dataclass(frozen=True)
class Entry:
    """A line; `time` is in UTC, `commit` that of the registration, and an intent has no outcome."""

    event: Literal["intent", "score"]
    record: str
    seed: int
    commit: str
    time: str
    outcome: Outcome | None = None


class Ledger:
    """The lines of one record in the ledger file `path`, which others share.

    **Arguments:**

    - `record`: its name; `seeds`: those it declares; `commit`: that of its registration.

    **Attributes:**

    - `outcomes`: by seed, of the runs that were scored.

    **Raises:** `WorkdirError` for a damaged file, `ConfigError` where one of the seeds was scored at another commit.
    """

    def __init__(self, path: Path, record: str, commit: str, seeds: Collection[int]):
        self._path, self._record, self._commit = path, record, commit
        entries = [entry for entry in read_ledger(path) if entry.record == record]
        before = sorted({entry.seed for entry in entries if entry.commit != commit})
        if not set(before).isdisjoint(seeds):
            raise ConfigError(
                f"{path}: {record} scored seed {before[0]} at another commit; declare fresh seeds, as RECORD's "
                f"first_seed = {before[-1] + 1}"
            )
        self.outcomes = {entry.seed: entry.outcome for entry in entries if entry.commit == commit and entry.outcome}

    def intend(self, seed: int) -> None:
        """Notes, durably, that the test set is about to be scored."""
        self._append("intent", seed)

    def add(self, seed: int, outcome: Outcome) -> None:
        """Notes the score."""
        self.outcomes[seed] = outcome
        self._append("score", seed, outcome)

    def _append(self, event: Literal["intent", "score"], seed: int, outcome: Outcome | None = None) -> None:
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        line = dataclasses.asdict(Entry(event, self._record, seed, self._commit, now, outcome))
        append(self._path, json_lines([{key: value for key, value in line.items() if value is not None}]))


def read_ledger(path: Path) -> list[Entry]:
    """Returns the lines of the ledger; the part of a last one that a killed process left is cut off."""
    reader = WorkdirReader(path.parent, "restore it from git")
    if not reader.has(path.name):
        return []
    text = reader.text(path.name).encode()
    if not text.endswith(b"\n"):
        truncate(path, text.rfind(b"\n") + 1)
    return reader.records(Entry, path.name)
