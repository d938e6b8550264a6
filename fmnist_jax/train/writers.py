"""The records of a run: plain files, each written whole or not at all."""

from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from fmnist_jax.data import CLASS_NAMES, Split
from fmnist_jax.errors import WorkdirError
from fmnist_jax.files.atomic import write_atomically

_MISTAKES = 25


def write_json(path: Path, value: Any) -> None:
    """Writes `value` as JSON, numbers that are not finite as `null`."""
    write_atomically(path, (json.dumps(finite(value), indent=2, allow_nan=False) + "\n").encode())


def read_json(path: Path) -> Any:
    """Returns what `write_json` wrote; raises `WorkdirError` where it is damaged."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise WorkdirError(f"{path} cannot be read ({error}); delete it and run the command again") from None


def write_metrics(path: Path, history: list[dict[str, Any]]) -> None:
    """Writes one line of JSON per epoch.

    The file is written anew each time, so that a resumed run's holds each epoch once, whatever was there before.
    """
    lines = [json.dumps(finite(record), allow_nan=False) for record in history]
    write_atomically(path, "".join(f"{line}\n" for line in lines).encode())


def write_confusion_matrix(path: Path, confusion: np.ndarray) -> None:
    """Writes `confusion`, `int[10, 10]` with rows the true classes, as CSV with the classes' names."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow([r"true\predicted", *CLASS_NAMES])
    table.writerows([name, *map(int, row)] for name, row in zip(CLASS_NAMES, confusion, strict=True))
    write_atomically(path, text.getvalue().encode())


def write_predictions(path: Path, split: Split, probabilities: np.ndarray) -> None:
    """Writes the split's labels, its predicted probabilities `float32[n, 10]` and its most confident mistakes."""
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


def finite(value: Any) -> Any:
    """Returns `value`, a tree of dicts and lists, with every number that is not finite replaced by `None`."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
