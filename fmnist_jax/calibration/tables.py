"""The calibration as Markdown: a table for each section, with a column for each number of seeds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fmnist_jax.calibration.noise import NOISES

_TITLES = {
    "rejection": "How often a test rejects where there is no difference",
    "coverage": "How often an interval covers the truth",
    "power": "How often a true difference is found",
}


def markdown(record: Mapping[str, Any]) -> str:
    """Returns the text of the tables."""
    blocks = ["# Calibration of the statistics", _conditions(record)]
    for section, title in _TITLES.items():
        rows = [row for row in record["cells"] if row["section"] == section]
        blocks += [f"## {title}", _nominal(rows), *_tables(rows)]
    return "\n\n".join(blocks) + "\n"


def _conditions(record: Mapping[str, Any]) -> str:
    versions = ", ".join(f"{package} {version}" for package, version in record["versions"].items())
    noises = "; ".join(f"*{noise.name}*: {noise.summary}" for noise in NOISES)
    return (
        f"Written by `scripts/calibrate.py` with `--studies={record['studies']}`, as the JSON beside it ({versions}). "
        "Each rate is of simulated studies, with its Monte Carlo standard error in brackets. Noise between seeds is "
        f"{noises}. README.md says what follows."
    )


def _nominal(rows: Sequence[Mapping[str, Any]]) -> str:
    return f"Nominal: {rows[0]['nominal']:g}."


def _tables(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """One table for the rows with each set of seeds, in their order."""
    lines: dict[tuple[str, str, str], dict[int, str]] = {}
    for row in rows:
        found = lines.setdefault((row["quantity"], row["method"], row["noise"]), {})
        found[row["n"]] = f"{row['rate']:.3f} ({row['standard_error']:.3f})"
    for seeds in dict.fromkeys(tuple(found) for found in lines.values()):
        header = ["", "method", "noise", *(f"n = {n:,}" for n in seeds)]
        body = [[*key, *found.values()] for key, found in lines.items() if tuple(found) == seeds]
        methods = list(dict.fromkeys((quantity, method) for quantity, method, _ in lines))
        body.sort(key=lambda cells: methods.index((cells[0], cells[1])))
        yield "\n".join(f"| {' | '.join(cells)} |" for cells in (header, ["---"] * len(header), *body))
