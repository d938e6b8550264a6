"""The calibration's record: every cell's rate, as JSON, and the tables of them beside it."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import scipy

from fmnist_jax.calibration import coverage, detection, rejection
from fmnist_jax.calibration.cells import ALPHA, LEVEL, Cell, measure
from fmnist_jax.calibration.tables import markdown
from fmnist_jax.files.atomic import write_atomically


def cells() -> Iterator[Cell]:
    """Yields every cell of the calibration."""
    yield from rejection.cells()
    yield from coverage.cells()
    yield from detection.cells()


def calibrate(output: Path, studies: int, say: Callable[[str], None]) -> None:
    """Simulates `studies` studies for each cell, or a share where each takes long, and writes what was found.

    Writes `output`, JSON, and beside it the same as Markdown; `say` is told how far it is. The same studies give the
    same record, up to what another version of numpy or scipy rounds differently.

    **Raises:** `WorkdirError` where a file cannot be written.
    """
    record = measured(studies, say)
    write_atomically(output, (json.dumps(record, indent=1) + "\n").encode())
    write_atomically(output.with_suffix(".md"), markdown(record).encode())


def measured(studies: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Returns the record."""
    wanted = list(cells())
    rows = []
    for done, cell in enumerate(wanted, start=1):
        rows.append(measure(cell, studies))
        say(f"{done}/{len(wanted)} {cell.quantity}, {cell.method}, {cell.noise}, {cell.n}: {rows[-1]['rate']:.3f}")
    versions = {"python": platform.python_version(), "numpy": np.__version__, "scipy": scipy.__version__}
    return {"studies": studies, "level": LEVEL, "alpha": ALPHA, "versions": versions, "cells": rows}
