"""Progress of a run: a line per epoch, and on a terminal a bar with the time left."""

from __future__ import annotations

import datetime
import sys
import time
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn


class EpochProgress:
    """Reports epochs while entered.

    **Arguments:**

    - `epochs`: the number of epochs; `done`: how many of them an earlier process has trained.
    """

    def __init__(self, epochs: int, done: int = 0):
        self._epochs = epochs
        self._first = done
        self._started = time.monotonic()
        self._console = Console(file=sys.stdout, highlight=False, soft_wrap=True)
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total} epochs"))
        self._bar = Progress(
            *columns, TimeElapsedColumn(), console=self._console, disable=not self._console.is_terminal
        )
        self._task: TaskID = self._bar.add_task("training", total=epochs, completed=done)

    def __enter__(self) -> EpochProgress:
        self._started = time.monotonic()
        self._bar.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._bar.stop()

    def report(self, record: dict[str, Any]) -> None:
        """Prints the line of an epoch's record and advances the bar."""
        left = self._seconds_left(record["epoch"])
        self._console.print(describe(record, self._epochs, left), markup=False)
        self._bar.update(self._task, completed=record["epoch"])

    def _seconds_left(self, epoch: int) -> float:
        seconds_each = (time.monotonic() - self._started) / (epoch - self._first)
        return seconds_each * (self._epochs - epoch)


def describe(record: dict[str, Any], epochs: int, seconds_left: float) -> str:
    """Returns an epoch's line: losses, accuracies in percent, training throughput and the time left."""
    eta = datetime.timedelta(seconds=round(seconds_left))
    return (
        f"epoch {record['epoch']:>{len(str(epochs))}}/{epochs}"
        f"  train loss {_number(record['train_loss'])} accuracy {record['train_accuracy']:.2%}"
        f"  val loss {_number(record['val_loss'])} accuracy {record['val_accuracy']:.2%}"
        f"  {record['examples_per_second']:,.0f} examples/s  {record['train_seconds']:.1f} s  ETA {eta}"
    )


def _number(value: float | None) -> str:
    return "not finite" if value is None else f"{value:.4f}"
