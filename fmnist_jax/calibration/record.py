"""The calibration's record: every cell's rate as JSON, and the same as Markdown tables."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import scipy

from fmnist_jax.calibration import coverage, error_rates
from fmnist_jax.calibration.simulation import ALPHA, LEVEL, NOISES, Cell, measure
from fmnist_jax.files.atomic import write_atomically

_TITLES = {
    "rejection": "False positive rate: how often a test rejects without a difference",
    "coverage": "Coverage: how often an interval contains the true value",
    "power": "Power: how often a test detects a true difference",
}


def cells() -> Iterator[Cell]:
    """Yields every cell of the calibration."""
    yield from error_rates.rejection_cells()
    yield from coverage.cells()
    yield from error_rates.power_cells()


def calibrate(output: Path, studies: int, log: Callable[[str], None]) -> None:
    """Simulates `studies` studies per cell, or a fraction for slow methods, and writes the rates.

    Writes `output`, JSON, and beside it the same as Markdown; `log` receives the progress. The same number of studies
    gives the same record, up to rounding in other versions of numpy or scipy.

    **Raises:** `WorkdirError` where a file cannot be written.
    """
    simulated, rows = list(cells()), []
    for done, cell in enumerate(simulated, start=1):
        rows.append(measure(cell, studies))
        log(f"{done}/{len(simulated)} {cell.quantity}, {cell.method}, {cell.noise}, {cell.n}: {rows[-1]['rate']:.3f}")
    versions = {"python": platform.python_version(), "numpy": np.__version__, "scipy": scipy.__version__}
    record = {"studies": studies, "level": LEVEL, "alpha": ALPHA, "versions": versions, "cells": rows}
    write_atomically(output, (json.dumps(record, indent=1) + "\n").encode())
    write_atomically(output.with_suffix(".md"), markdown(record).encode())


def markdown(record: Mapping[str, Any]) -> str:
    """Returns the record as Markdown: a table per section, with a column for each number of seeds."""
    versions = ", ".join(f"{package} {version}" for package, version in record["versions"].items())
    noises = "; ".join(f"*{noise.name}*: {noise.summary}" for noise in NOISES)
    blocks = [
        "# Calibration of the statistics",
        f"Written by `scripts/calibrate.py --studies={record['studies']}` together with the JSON file ({versions}). "
        "Each rate is over simulated studies of n seeds, with its Monte Carlo standard error in parentheses. The noise "
        f"over seeds is {noises}. README.md explains the methods and draws the conclusions.",
    ]
    for section, title in _TITLES.items():
        rows = [row for row in record["cells"] if row["section"] == section]
        blocks += [f"## {title}", f"Nominal: {rows[0]['nominal']:g}.", *_tables(rows)]
    return "\n\n".join(blocks) + "\n"


def _tables(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yields a table for each set of columns, its rows sorted by quantity and method."""
    lines: dict[tuple[str, str, str], dict[int, str]] = {}
    for row in rows:
        found = lines.setdefault((row["quantity"], row["method"], row["noise"]), {})
        found[row["n"]] = f"{row['rate']:.3f} ({row['standard_error']:.3f})"
    methods = list(dict.fromkeys((quantity, method) for quantity, method, _ in lines))
    for columns in dict.fromkeys(tuple(found) for found in lines.values()):
        header = ["Quantity", "Method", "Noise", *(f"n = {n:,}" for n in columns)]
        body = [[*key, *found.values()] for key, found in lines.items() if tuple(found) == columns]
        body.sort(key=lambda cells: methods.index((cells[0], cells[1])))
        yield "\n".join(f"| {' | '.join(cells)} |" for cells in (header, ["---"] * len(header), *body))
