"""`results.csv`: a study's final runs as a table, a row each, for spreadsheets."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from fmnist_jax.compare.plan import FINAL
from fmnist_jax.compare.results import FIGURES, Line, by_member
from fmnist_jax.files.atomic import write_atomically
from fmnist_jax.train.epoch_record import diverged

_COLUMNS = ("member", "model", "epochs", "schedule", "arm", "optimizer", "trial", "seed", "diverged")


def write_table(path: Path, chunks: Iterable[Sequence[Line]]) -> None:
    """Writes a row for each final run: what it is, the figures of its last epoch, and its hyperparameters.

    `train_seconds` is of the whole run. What a run has not, as a figure that was not finite, is left empty.
    """
    runs = [run for lines in chunks for run in by_member(lines) if run[0]["phase"] == FINAL]
    names = dict.fromkeys(name for run in runs for name in run[0]["hyperparameters"])
    text = io.StringIO()
    table = csv.DictWriter(text, [*_COLUMNS, *FIGURES, "train_seconds", *names], restval="", lineterminator="\n")
    table.writeheader()
    table.writerows(_row(run) for run in runs)
    write_atomically(path, text.getvalue().encode())


def _row(run: Sequence[Line]) -> dict[str, Any]:
    last = run[-1] | {"diverged": diverged(run[-1]), "train_seconds": sum(line["train_seconds"] for line in run)}
    shown = {name: last[name] for name in (*_COLUMNS, *FIGURES, "train_seconds") if name in last}
    return {**last["hyperparameters"], **shown}
