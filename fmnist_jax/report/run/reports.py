"""Writes the plots and the report of a workdir's run, or of an evaluation in it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from fmnist_jax.report.page import Picture
from fmnist_jax.report.run.evaluation_page import draw_evaluation, evaluation_page
from fmnist_jax.report.run.run_page import draw_run, run_page
from fmnist_jax.report.run.workdir import evaluation_path, read_evaluation, read_run
from fmnist_jax.report.writing import write_page, write_plots

_PICTURES = ("convergence", "confusion_matrix", "reliability", "mistakes")


def write_run_report(workdir: str | os.PathLike[str]) -> Path:
    """Makes `plots/*.png` and `report.html` of a run from the files in its workdir alone; returns the report's path.

    Raises `WorkdirError` where a file that is needed is missing or damaged; the report says what else is missing.
    """
    folder = Path(workdir)
    run = read_run(folder)
    pictures = draw_run(run)
    return _write(folder, pictures, run_page(run, pictures))


def write_evaluation_report(workdir: str | os.PathLike[str], split: str) -> Path:
    """Makes the plots and the report of `evaluations/<split>/` in a workdir, there; else as `write_run_report`.

    `split` is `"train"`, `"val"` or `"test"`.
    """
    evaluation = read_evaluation(Path(workdir), split)
    pictures = draw_evaluation(evaluation)
    return _write(evaluation_path(Path(workdir), split), pictures, evaluation_page(evaluation, pictures))


def _write(folder: Path, pictures: Mapping[str, Picture], text: str) -> Path:
    write_plots(folder, pictures, _PICTURES)
    return write_page(folder, text)
