"""Writes JSON that every parser accepts: numbers that are not finite become `null`."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from fmnist_jax.files.atomic import write_atomically


def write_json(path: Path, value: Any) -> None:
    """Writes `value` to the file `path` atomically; `WorkdirReader.object` is its inverse for dicts."""
    write_atomically(path, (json.dumps(finite(value), indent=2, allow_nan=False) + "\n").encode())


def json_lines(records: Iterable[Any]) -> bytes:
    """Returns the records as JSON, one a line; `WorkdirReader.objects` is its inverse for dicts."""
    return "".join(json.dumps(finite(record), allow_nan=False) + "\n" for record in records).encode()


def finite(value: Any) -> Any:
    """Returns `value`, a tree of dicts and lists, with each number that is not finite replaced by `None`."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
