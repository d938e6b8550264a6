"""`table.csv`: the figures of each arm of a study, for a spreadsheet or a program."""

from __future__ import annotations

import csv
import io
import json
import math
from typing import Any

from fmnist_jax.compare.analysis.arms import ArmFigures
from fmnist_jax.compare.analysis.workload import WorkloadFigures
from fmnist_jax.compare.statistics.estimates import Estimate
from fmnist_jax.files.atomic import finite
from fmnist_jax.report.study.context import Context
from fmnist_jax.report.study.tables import Interval, reference_arm, reversed_pair

_NO_INTERVAL = (math.nan, math.nan, math.nan)


def study_csv(context: Context) -> str:
    """Returns the text of `table.csv`: a row for each arm on each workload, accuracies as shares, times in seconds."""
    rows = [
        ({"dataset": workload.dataset} if workload.dataset else {})
        | {"model": workload.model, "epochs": workload.epochs, "schedule": workload.schedule, "rank": rank}
        | {"score": context.analysis.score}
        | _csv_row(workload, figures)
        for workload in context.analysis.workloads
        for rank, figures in enumerate(workload.arms, start=1)
    ]
    text = io.StringIO()
    table = csv.DictWriter(text, list(rows[0]) if rows else [], lineterminator="\n")
    table.writeheader()
    table.writerows(finite(rows))  # `None` is written as an empty cell
    return text.getvalue()


def _csv_row(workload: WorkloadFigures, figures: ArmFigures) -> dict[str, Any]:
    best = workload.arms[0].arm
    to_best, beats_best, p, adjusted_p = _NO_INTERVAL, _NO_INTERVAL, math.nan, math.nan
    if workload.comparison is not None and figures.arm != best:
        pair = workload.comparison.pair(best, figures.arm)
        (to_best, beats_best), p, adjusted_p = reversed_pair(pair), pair.p_value, pair.adjusted_p
    _, sampling_low, sampling_high = figures.sampling[:3] if figures.sampling else _NO_INTERVAL
    return {
        "arm": figures.arm,
        "seeds": len(figures.scores),
        "failures": figures.failures,
        **_interval("mean", figures.mean),
        **_interval("median", figures.median),
        **_interval("iqm", figures.iqm),
        "sd": figures.deviation,
        **_interval("val_accuracy", figures.validation),
        "sampling_low": sampling_low,
        "sampling_high": sampling_high,
        "train_loss": figures.train_loss,
        **figures.metrics,
        "best": best,
        **_interval("to_best", to_best),
        "p": p,
        "holm_p": adjusted_p,
        **_interval("beats_best", beats_best),
        "train_seconds": figures.cost.train,
        "eval_seconds": figures.cost.evaluation,
        "compile_seconds": figures.cost.compilation,
        "step_seconds": figures.cost.step,
        "relative_step": figures.cost.step / reference_arm(workload).cost.step,
        "optimizer_state": figures.cost.optimizer_state,
        "hyperparameters": json.dumps(dict(figures.hyperparameters)),
    }


def _interval(name: str, found: Estimate | Interval) -> dict[str, float]:
    return {name: found[0], f"{name}_low": found[1], f"{name}_high": found[2]}
