"""Configs run on several seeds: means, and for the Keras study's four networks the figures that it published."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fmnist_jax.errors import WorkdirError, command
from fmnist_jax.files.atomic import write_atomically
from fmnist_jax.files.markdown import markdown_table
from fmnist_jax.report.run.workdir import Run, read_run

# Last-epoch figures as published: Keras's running means over the epoch, and the test set as "validation".
PUBLISHED: Mapping[str, Mapping[str, float]] = {
    "model1": {"train_loss": 0.2860, "train_accuracy": 0.9009, "val_loss": 0.3161, "val_accuracy": 0.8898},
    "model2": {"train_loss": 0.3092, "train_accuracy": 0.8876, "val_loss": 0.3249, "val_accuracy": 0.8752},
    "model3": {"train_loss": 0.1959, "train_accuracy": 0.9273, "val_loss": 0.2534, "val_accuracy": 0.9081},
    "model4": {"train_loss": 0.1565, "train_accuracy": 0.9429, "val_loss": 0.2708, "val_accuracy": 0.9013},
}
_FIGURES = ("train_loss", "train_accuracy", "val_loss", "val_accuracy")
_HEADER = ("model", "optimizer", "", "loss", "accuracy", "val loss", "val accuracy")


def write_table(workdir: Path) -> str:
    """Writes `reference.json` and `reference.md` into `workdir` and returns the latter's text.

    Reads the runs `workdir/CONFIG/seedS`, all that are there; needs two or more of each config that is there.

    **Raises:** `WorkdirError` where there are none, or a run is unfinished, diverged, or on another data set than the
    real one.
    """
    folders = sorted({path.parent for path in workdir.glob("*/seed*")})
    runs = {folder.name: _runs(folder) for folder in folders}
    if not runs:
        raise WorkdirError(f"{workdir} holds no runs; train them: {command('reproduce')} --workdir={workdir}")
    rows = {model: _row(model, found) for model, found in runs.items()}
    text = _markdown(rows)
    write_atomically(workdir / "reference.json", (json.dumps(rows, indent=1) + "\n").encode())
    write_atomically(workdir / "reference.md", text.encode())
    return text


def _runs(folder: Path) -> list[Run]:
    runs = [read_run(path) for path in sorted(folder.glob("seed*"))]
    if len(runs) < 2:
        raise WorkdirError(f"{folder} holds {len(runs)} runs; a standard deviation takes two or more")
    for run in runs:
        if run.summary.synthetic:
            raise WorkdirError(f"{folder} holds a run on the synthetic set; this table is of the real one")
        if run.summary.status == "diverged":
            raise WorkdirError(f"{folder} holds a run that diverged (seed {run.summary.seed}); it has no mean to take")
    return runs


def _row(model: str, runs: list[Run]) -> dict[str, Any]:
    """A config's figures: per run, mean, sample standard deviation, and whether the runs' range holds the study's."""
    first = runs[0].manifest or {}
    figures: dict[str, dict[str, Any]] = {}
    for name in _FIGURES:
        values = [getattr(run.summary, name) for run in runs]
        figures[name] = {"values": values, "mean": statistics.mean(values), "std": statistics.stdev(values)}
        if model in PUBLISHED:
            published = PUBLISHED[model][name]
            figures[name] |= {"published": published, "covered": min(values) <= published <= max(values)}
    return {
        "optimizer": runs[0].summary.optimizer,
        "seeds": [run.summary.seed for run in runs],
        "figures": figures,
        "train_seconds": [run.summary.train_seconds for run in runs],
        "git_sha": sorted({str((run.manifest or {}).get("git_sha")) for run in runs}),
        "git_dirty": any((run.manifest or {}).get("git_dirty") for run in runs),
        **{key: first.get(key) for key in ("versions", "device", "data", "started")},
    }


def _markdown(rows: Mapping[str, Mapping[str, Any]]) -> str:
    lines = []
    for model, row in rows.items():
        figures = row["figures"].values()
        ours = [f"{f['mean']:.4f} ± {f['std']:.4f}" for f in figures]
        names = [model, row["optimizer"]]
        if model in PUBLISHED:
            lines.append([*names, "published", *(f"{f['published']:.4f}" for f in figures)])
            names = ["", ""]
        lines.append([*names, f"ours, {len(row['seeds'])} seeds", *ours])
    table = markdown_table(_HEADER, lines)
    studied = {model: row["figures"] for model, row in rows.items() if model in PUBLISHED}
    if not studied:
        return f"{table}\n"
    covered = [figure["covered"] for figures in studied.values() for figure in figures.values()]
    note = f"Our runs' range holds the published figure in {sum(covered)} of {len(covered)} cells"
    missed = [f"{m} {n.replace('_', ' ')}" for m, row in studied.items() for n, f in row.items() if not f["covered"]]
    return f"{table}\n\n{note}{'; not in: ' + ', '.join(missed) if missed else ''}.\n"
