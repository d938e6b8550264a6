"""What a run writes: metrics, confusion matrix and predictions, each file atomically; TensorBoard events; progress."""

from __future__ import annotations

import csv
import datetime
import io
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from tensorboardX import SummaryWriter

from fmnist_jax.data import Split
from fmnist_jax.errors import WorkdirError
from fmnist_jax.files.atomic import json_lines, write_atomically
from fmnist_jax.runtime import processes
from fmnist_jax.runtime.console import plain_console

_MISTAKES = 25  # images kept of the most confident wrong predictions


def write_metrics(path: Path, history: list[dict[str, Any]]) -> None:
    """Writes the whole file, one line of JSON per epoch, so that after a resume it holds each epoch once."""
    write_atomically(path, json_lines(history))


def write_confusion_matrix(path: Path, confusion: np.ndarray, class_names: Sequence[str]) -> None:
    """Writes `confusion`, `int[classes, classes]` with rows the true classes, as CSV with class names."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow([r"true\predicted", *class_names])
    table.writerows([name, *map(int, row)] for name, row in zip(class_names, confusion, strict=True))
    write_atomically(path, text.getvalue().encode())


def write_predictions(path: Path, split: Split, probabilities: np.ndarray) -> None:
    """Writes the split's labels, its predicted probabilities `float32[n, classes]` and its most confident mistakes."""
    predicted = np.argmax(probabilities, axis=-1)
    confidence = np.max(probabilities, axis=-1)
    wrong = np.flatnonzero(predicted != split.labels)
    worst = wrong[np.argsort(-confidence[wrong], kind="stable")][:_MISTAKES]
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        labels=split.labels,
        probabilities=probabilities,
        mistake_index=worst.astype(np.int32),
        mistake_images=split.images[worst],
    )
    write_atomically(path, buffer.getvalue())


class Events:
    """Writes TensorBoard event files, the records of epochs as scalars, into `folder` while entered.

    **Arguments:**

    - `step`: where this process starts; TensorBoard hides later events of earlier processes.
    """

    def __init__(self, folder: Path, step: int):
        # File names contain the second: without a suffix, a run resumed within a second would overwrite the file.
        suffix = f".{step}"
        # tensorboardX's `flush` does not wait for its writing thread; flushed each second, a run can be watched.
        self._folder = folder
        options = {"filename_suffix": suffix, "flush_secs": 1, "write_to_disk": processes.is_writer()}
        self._writer = SummaryWriter(str(folder), purge_step=step + 1, **options)

    def __enter__(self) -> Events:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            self._writer.close()
        except OSError as failure:
            if error is None:
                raise WorkdirError(f"{self._folder} cannot be written ({failure.strerror}); free space there") from None

    def write(self, record: dict[str, Any]) -> None:
        """Writes the record's numbers at its step, `train_loss` as `train/loss`."""
        for name, value in record.items():
            if name not in ("epoch", "step") and value is not None:
                self._writer.add_scalar(name.replace("_", "/", 1), value, record["step"])


class EpochProgress:
    """Prints a line per epoch while entered, and on a terminal a bar with the time left.

    **Arguments:**

    - `epochs`: the number of epochs; `done`: how many of them an earlier process has trained.
    """

    def __init__(self, epochs: int, done: int = 0):
        self._epochs = epochs
        self._first = done
        self._console = plain_console(sys.stdout)
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total} epochs"))
        self._bar = Progress(
            *columns, TimeElapsedColumn(), console=self._console, disable=not self._console.is_terminal
        )
        self._task = self._bar.add_task("training", total=epochs, completed=done)

    def __enter__(self) -> EpochProgress:
        self._started = time.monotonic()
        self._bar.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._bar.stop()

    def report(self, record: dict[str, Any]) -> None:
        """Prints an epoch's losses, accuracies, training throughput and the time left; advances the bar."""
        epoch, total = record["epoch"], self._epochs
        seconds_each = (time.monotonic() - self._started) / (epoch - self._first)
        eta = datetime.timedelta(seconds=round(seconds_each * (total - epoch)))
        self._console.print(
            f"epoch {epoch:>{len(str(total))}}/{total}"
            f"  train loss {_number(record['train_loss'])} accuracy {record['train_accuracy']:.2%}"
            f"  val loss {_number(record['val_loss'])} accuracy {record['val_accuracy']:.2%}"
            f"  {record['examples_per_second']:,.0f} examples/s  {record['train_seconds']:.1f} s  ETA {eta}",
            markup=False,
        )
        self._bar.update(self._task, completed=epoch)


def _number(value: float | None) -> str:
    return "not finite" if value is None else f"{value:.4f}"
