"""The report of a study."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from fmnist_jax.compare.analysis.analyse import analyse, to_jsonable
from fmnist_jax.compare.analysis.study import read_study
from fmnist_jax.compare.config import SCHEMA
from fmnist_jax.files.atomic import write_atomically, write_json
from fmnist_jax.report.model import Report, Section, Verdict
from fmnist_jax.report.provenance import config_table, reproducibility_section
from fmnist_jax.report.render import write_report
from fmnist_jax.report.study.context import Context
from fmnist_jax.report.study.sections import callouts, headline_stats, sections
from fmnist_jax.report.study.table_csv import study_csv
from fmnist_jax.report.study.verdict import verdict
from fmnist_jax.report.theme import Subject

_PLOTS = (
    "learning_curves",
    "paired_differences",
    "tuning_curves",
    "rate_sensitivity",
    "trials",
    "steps_to_target",
    "time_to_target",
    "failures",
    "error_profile",
    "steps_profile",
)


def write_study_report(workdir: str | os.PathLike[str], *, times: bool = True) -> Path:
    """Writes the report of a study, finished or not, into its workdir; returns the path of `report.html`.

    Writes `plots/*.png`, `report.html`, `report.md`, `table.csv`, and `summary.json` with every number of the report.
    Reads only the files of the workdir. Raises `WorkdirError` where a required file is missing or damaged, before
    anything is written.

    **Arguments:**

    - `times`: whether the report shows seconds; `False` for a study on a machine that was busy with other work.
    """
    folder = Path(workdir)
    study = read_study(folder)
    context = Context(study, analyse(study), times)
    report = study_report(context)
    write_json(folder / "summary.json", _summary(context))
    write_atomically(folder / "table.csv", study_csv(context).encode())
    return write_report(folder, report, _PLOTS)


def study_report(context: Context) -> Report:
    """Returns the report of a study."""
    workloads = context.analysis.workloads
    config = config_table(context.study.config, SCHEMA, {})
    return Report(
        "optimizer study",
        Subject("", context.synthetic).title(context.title),
        context.lead,
        [
            *callouts(context),
            *(Verdict(found.name if len(workloads) > 1 else "", verdict(found)) for found in workloads),
            headline_stats(context),
            *sections(context),
            Section("Config", [config]),
            reproducibility_section(context.study.manifest, "study"),
        ],
    )


def _summary(context: Context) -> dict[str, Any]:
    study, analysis = context.study, context.analysis
    figures = to_jsonable(analysis)
    for workload, own in zip(figures["workloads"], analysis.workloads, strict=True):
        workload["verdict"] = verdict(own)
    return {
        "title": context.title,
        "status": "finished" if analysis.complete else "incomplete",
        "data": study.data,
        "synthetic": context.synthetic,
        "validation_is_test": study.validation_is_test,
        "mode": study.design.mode,
        "seeds": study.design.seeds,
        "confidence": study.design.confidence,
        **figures,
    }
