"""`table.csv`: the figures of each arm on each workload, a row each, for programs and spreadsheets."""

from __future__ import annotations

import csv
import io
import json
import math
from typing import Any

from fmnist_jax.compare.analysis.arms import ArmFigures
from fmnist_jax.compare.analysis.workload import WorkloadFigures
from fmnist_jax.report.study.context import Context

_NOTHING = (math.nan, math.nan, math.nan)


def study_csv(context: Context) -> str:
    """Returns the text of `table.csv`: accuracies are shares, times seconds, what there is not is left empty."""
    rows = [
        {"model": workload.model, "epochs": workload.epochs, "schedule": workload.schedule, "rank": rank}
        | {"score": context.analysis.score}
        | _row(workload, figures)
        for workload in context.analysis.workloads
        for rank, figures in enumerate(workload.arms, start=1)
    ]
    text = io.StringIO()
    table = csv.DictWriter(text, list(rows[0]) if rows else [], lineterminator="\n")
    table.writeheader()
    table.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
    return text.getvalue()


def _row(workload: WorkloadFigures, figures: ArmFigures) -> dict[str, Any]:
    row: dict[str, Any] = {"arm": figures.arm, "seeds": len(figures.scores), "failures": figures.failures}
    for name, estimate in (("mean", figures.mean), ("median", figures.median), ("iqm", figures.iqm)):
        row |= _interval(name, *estimate[:3])
    row |= {"sd": figures.deviation} | _interval("val_accuracy", *figures.validation[:3])
    _, *sampling = _interval("sampling", *(figures.sampling[:3] if figures.sampling else _NOTHING)).items()
    row |= {**dict(sampling), "train_loss": figures.train_loss} | _to_best(workload, figures)
    cost = figures.cost
    row |= {"train_seconds": cost.train, "eval_seconds": cost.evaluation, "compile_seconds": cost.compilation}
    return row | {"hyperparameters": json.dumps(dict(figures.hyperparameters))}


def _to_best(workload: WorkloadFigures, figures: ArmFigures) -> dict[str, Any]:
    """The difference to the best arm, which has none to itself."""
    best = workload.arms[0].arm
    difference, beats, p, adjusted = _NOTHING, _NOTHING, math.nan, math.nan
    if workload.comparison is not None and figures.arm != best:
        pair = workload.comparison.pair(best, figures.arm)
        difference = (-pair.difference.value, -pair.difference.high, -pair.difference.low)
        beats = (1 - pair.improvement.value, 1 - pair.improvement.high, 1 - pair.improvement.low)
        p, adjusted = pair.p_value, pair.adjusted_p
    row = {"best": best, **_interval("to_best", *difference), "p": p, "holm_p": adjusted}
    return row | _interval("beats_best", *beats)


def _interval(name: str, value: float, low: float, high: float) -> dict[str, float]:
    return {name: value, f"{name}_low": low, f"{name}_high": high}


def _cell(value: Any) -> Any:
    return "" if isinstance(value, float) and not math.isfinite(value) else value
