"""Writes the report of a study."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from fmnist_jax.compare.analysis.analyse import analyse, to_jsonable
from fmnist_jax.compare.analysis.study import read_study
from fmnist_jax.files.atomic import write_atomically
from fmnist_jax.files.json_files import write_json
from fmnist_jax.report.study.context import Context
from fmnist_jax.report.study.markdown import study_markdown
from fmnist_jax.report.study.pictures import KINDS, draw_study
from fmnist_jax.report.study.study_page import study_page
from fmnist_jax.report.study.table_csv import study_csv
from fmnist_jax.report.study.verdict import verdict
from fmnist_jax.report.writing import write_page, write_plots


def write_study_report(workdir: str | os.PathLike[str]) -> Path:
    """Makes the report of a study, finished or not, from the files in its workdir; returns the path of `report.html`.

    Writes `plots/*.png`, `report.html`, `report.md`, `table.csv` and `summary.json`, every figure of the report in it.
    Raises `WorkdirError` where a file that is needed is missing or damaged, before anything is written.
    """
    folder = Path(workdir)
    study = read_study(folder)
    context = Context(study, analyse(study))
    pictures = draw_study(context)
    page, text = study_page(context, pictures), study_markdown(context, pictures)
    write_plots(folder, pictures, KINDS)
    write_json(folder / "summary.json", _summary(context))
    write_atomically(folder / "table.csv", study_csv(context).encode())
    write_atomically(folder / "report.md", text.encode())
    return write_page(folder, page)


def _summary(context: Context) -> dict[str, Any]:
    study, analysis = context.study, context.analysis
    figures = to_jsonable(analysis)
    for workload, own in zip(figures["workloads"], analysis.workloads, strict=True):
        workload["verdict"] = verdict(own)
    about = {
        "title": context.title,
        "status": "finished" if analysis.complete else "incomplete",
        "data": study.data,
        "synthetic": context.synthetic,
        "validation_is_test": study.validation_is_test,
        "mode": study.design.mode,
        "seeds": study.design.seeds,
        "confidence": study.design.confidence,
    }
    return about | figures
