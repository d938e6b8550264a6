"""`table.csv`: the figures of each arm on each workload, a row each, for programs and spreadsheets."""

from __future__ import annotations

import csv
import io
import json
import math
from typing import Any

from fmnist_jax.compare.analysis.arms import ArmFigures
from fmnist_jax.compare.analysis.workload import WorkloadFigures
from fmnist_jax.compare.statistics.estimates import Estimate
from fmnist_jax.report.study.context import Context


def study_csv(context: Context) -> str:
    """Returns the text of `table.csv`: accuracies are shares, times seconds, what there is not is left empty."""
    rows = [
        {"model": workload.model, "epochs": workload.epochs, "schedule": workload.schedule, "rank": rank}
        | {"score": context.analysis.score}
        | _row(workload, figures)
        for workload in context.analysis.workloads
        for rank, figures in enumerate(workload.arms, start=1)
    ]
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    table = csv.DictWriter(text, names, restval="", lineterminator="\n")
    table.writeheader()
    table.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
    return text.getvalue()


def _row(workload: WorkloadFigures, figures: ArmFigures) -> dict[str, Any]:
    row: dict[str, Any] = {"arm": figures.arm, "seeds": len(figures.scores), "failures": figures.failures}
    for name, estimate in (("mean", figures.mean), ("median", figures.median), ("iqm", figures.iqm)):
        row |= _estimate(name, estimate)
    row |= {"sd": figures.deviation} | _estimate("val_accuracy", figures.validation)
    if figures.sampling is not None:
        row |= {"sampling_low": figures.sampling.low, "sampling_high": figures.sampling.high}
    row |= {"train_loss": figures.train_loss} | _to_best(workload, figures)
    cost = figures.cost
    row |= {"train_seconds": cost.train, "eval_seconds": cost.evaluation, "compile_seconds": cost.compilation}
    return row | {"hyperparameters": json.dumps(dict(figures.hyperparameters))}


def _to_best(workload: WorkloadFigures, figures: ArmFigures) -> dict[str, Any]:
    if workload.comparison is None:
        return {}
    best = workload.comparison.arms[0]
    if figures.arm == best:
        return {"best": best}
    pair = workload.comparison.pair(best, figures.arm)
    value, low, high = pair.difference[:3]
    row = {"best": best, "to_best": -value, "to_best_low": -high, "to_best_high": -low}
    row |= {"p": pair.p_value, "holm_p": pair.adjusted_p}
    beats = pair.improvement
    return row | {"beats_best": 1 - beats.value, "beats_best_low": 1 - beats.high, "beats_best_high": 1 - beats.low}


def _estimate(name: str, estimate: Estimate) -> dict[str, float]:
    return {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}


def _cell(value: Any) -> Any:
    return "" if isinstance(value, float) and not math.isfinite(value) else value
