"""The tables of a study's report, and `table.csv`."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import math
from collections.abc import Mapping
from typing import Any

from fmnist_jax.compare.analysis.arms import ArmFigures, TuningFigures
from fmnist_jax.compare.analysis.study import WorkloadRuns
from fmnist_jax.compare.analysis.times import ArmAtTarget, TargetFigures
from fmnist_jax.compare.analysis.workload import WorkloadFigures
from fmnist_jax.compare.statistics.comparison import Comparison, PairedComparison
from fmnist_jax.compare.statistics.estimates import Estimate
from fmnist_jax.report.format import NOTHING, count, decimal, p_value, points, points_between, setting
from fmnist_jax.report.model import Table
from fmnist_jax.report.study.context import Context

_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_NO_INTERVAL = (math.nan, math.nan, math.nan)


def results_table(context: Context, workload: WorkloadFigures) -> Table:
    """Returns a row for each arm with final runs, best first."""
    design = context.study.design
    header = ["Arm", "Seeds", "Diverged", f"{context.images.capitalize()} accuracy, % [{context.level} CI]"]
    header += ["Difference to best, points", "Holm-adjusted p", "P(beats best)", "Group"] if workload.comparison else []
    header += ["Median", "IQM", "SD, points"]
    header += ["Validation, %"] if design.score_test and not context.study.validation_is_test else []
    header += ["Train loss"]
    rows = [_result(context, workload, figures) for figures in workload.arms]
    return Table("Results of each arm", header, rows)


def pairs_table(context: Context, comparison: Comparison) -> Table:
    """Returns a row for each pair of arms."""
    header = ["Pair", f"Difference, points [{context.level} CI]", "P(first > second)", "p", "Holm-adjusted p"]
    return Table("Pairwise differences", header, [_pair(pair) for pair in comparison.pairs])


def hyperparameters_table(workload: WorkloadFigures) -> Table:
    """Returns the hyperparameters of each arm: of its final runs, or of its best trial where there are none yet."""
    found = {figures.arm: figures.hyperparameters for figures in workload.arms}
    found |= {figures.arm: figures.hyperparameters for figures in workload.tuning if figures.arm not in found}
    rows = [[arm, _settings(hyperparameters)] for arm, hyperparameters in found.items()]
    return Table("Hyperparameters of each arm", ["Arm", "Hyperparameters"], rows, numeric=False)


def costs_table(workload: WorkloadFigures) -> Table:
    """Returns the seconds of the final runs of each arm."""
    rows = [[figures.arm, *map(_number, dataclasses.astuple(figures.cost))] for figures in workload.arms]
    header = ["Arm", "Training, s per run", "Evaluation, s per run", "Compilation, s in total"]
    return Table("Seconds of each arm", header, rows)


def failures_table(workload: WorkloadRuns) -> Table:
    """Returns a row for each run that diverged."""
    rows = []
    for cell in workload.arms:
        phases = (("trial", cell.trials, "trial"), ("final run, seed", cell.finals, "seed"))
        for kind, members, number in phases:
            lost = [member for member in members if member.diverged]
            rows += [
                [f"{cell.arm}, {kind} {getattr(m, number)}", str(len(m.history)), _settings(m.hyperparameters)]
                for m in lost
            ]
    return Table("Runs that diverged", ["Run", "Epoch", "Hyperparameters"], rows, numeric=False)


def tuning_table(workload: WorkloadFigures) -> Table:
    """Returns the tuning results of each arm, the best first."""
    header = ["Arm", "Trials", "Diverged", "Defaults, %", "Best trial, %", "Gain, points", "LR plateau, decades"]
    ordered = sorted(workload.tuning, key=lambda figures: -figures.best)
    return Table("Tuning of each arm", header, [_tuned(figures) for figures in ordered])


def target_table(context: Context, target: TargetFigures) -> Table:
    """Returns the steps and seconds of each arm to the target."""
    header = ["Arm", "Reached", "Mean steps", *(["Mean training s"] if context.times else [])]
    return Table(
        f"Time to {100 * target.target:g} %", header, [_at_target(found)[: len(header)] for found in target.arms]
    )


def across_table(context: Context) -> Table:
    """Returns the mean of each arm on each workload, in the order of the config."""
    workloads = context.analysis.workloads
    header = ["Arm", *(f"{workload.name}, %" for workload in workloads)]
    rows = [
        [arm, *(_on(workload, arm, context.analysis.complete) for workload in workloads)]
        for arm in context.study.design.arms
    ]
    return Table("Accuracy on each workload", header, rows)


def groups_of(comparison: Comparison) -> Mapping[str, str]:
    """Returns the letters of each arm: arms that share one do not differ significantly (Piepho 2004)."""
    groups = comparison.ordering.groups
    return {arm: "".join(_letter(i) for i, group in enumerate(groups) if arm in group) for arm in comparison.arms}


def _result(context: Context, workload: WorkloadFigures, figures: ArmFigures) -> list[str]:
    row = [figures.arm, str(len(figures.scores)), str(figures.failures), _estimate(figures.mean)]
    row += _beside_best(workload, figures)
    row += [points(figures.median.value), points(figures.iqm.value), points(figures.deviation)]
    if context.study.design.score_test and not context.study.validation_is_test:
        row.append(points(figures.validation.value))
    return [*row, decimal(figures.train_loss) if math.isfinite(figures.train_loss) else NOTHING]


def _beside_best(workload: WorkloadFigures, figures: ArmFigures) -> list[str]:
    comparison = workload.comparison
    if comparison is None:
        return []
    best = comparison.arms[0]
    group = groups_of(comparison)[figures.arm] if comparison.conclusive else NOTHING
    if figures.arm == best:
        return ["best", NOTHING, NOTHING, group]
    pair = comparison.pair(best, figures.arm)
    # The pair is the best minus this arm; the row shows this arm minus the best.
    difference = points_between(-pair.difference.value, -pair.difference.high, -pair.difference.low)
    return [difference, p_value(pair.adjusted_p), f"{1 - pair.improvement.value:.2f}", group]


def _pair(pair: PairedComparison) -> list[str]:
    return [
        f"{pair.a} \N{MINUS SIGN} {pair.b}",
        _estimate(pair.difference),
        f"{pair.improvement.value:.2f}",
        p_value(pair.p_value),
        p_value(pair.adjusted_p),
    ]


def _tuned(figures: TuningFigures) -> list[str]:
    default = figures.defaults
    plateau = figures.sensitivity
    return [
        figures.arm,
        str(figures.trials),
        str(figures.failures),
        NOTHING if default is None else points(default),
        points(figures.best),
        NOTHING if default is None else points(figures.best - default),
        NOTHING if plateau is None else f"{plateau.decades:.1f}",
    ]


def _at_target(found: ArmAtTarget) -> list[str]:
    seconds = NOTHING if found.seconds is None else _between(found.seconds.restricted_mean)
    return [found.arm, f"{found.reached} of {found.runs}", _between(found.steps.restricted_mean), seconds]


def _between(mean: Estimate) -> str:
    between = f" [{_number(mean.low)}, {_number(mean.high)}]" if math.isfinite(mean.low) else ""
    return f"{_number(mean.value)}{between}"


def _on(workload: WorkloadFigures, arm: str, complete: bool) -> str:
    figures = next((found for found in workload.arms if found.arm == arm), None)
    if figures is None:
        return NOTHING
    comparison = workload.comparison
    best = comparison is not None and complete and comparison.conclusive and arm in comparison.ordering.best
    return f"{_estimate(figures.mean)}{' *' if best else ''}"


def _estimate(estimate: Estimate) -> str:
    return points_between(estimate.value, estimate.low, estimate.high)


def _settings(hyperparameters: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {setting(value)}" for name, value in hyperparameters.items()) or "none"


def _number(value: float) -> str:
    """Formats steps or seconds; values below 100 have three significant digits."""
    if not math.isfinite(value):
        return NOTHING
    return count(value) if abs(value) >= 100 else f"{value:#.3g}"


def _letter(place: int) -> str:
    turn, letter = divmod(place, len(_LETTERS))
    return _LETTERS[letter] + (str(turn) if turn else "")


def study_csv(context: Context) -> str:
    """Returns the text of `table.csv`: a row for each arm on each workload, accuracies as shares, times in seconds."""
    rows = [
        {"model": workload.model, "epochs": workload.epochs, "schedule": workload.schedule, "rank": rank}
        | {"score": context.analysis.score}
        | _csv_row(workload, figures)
        for workload in context.analysis.workloads
        for rank, figures in enumerate(workload.arms, start=1)
    ]
    text = io.StringIO()
    table = csv.DictWriter(text, list(rows[0]) if rows else [], lineterminator="\n")
    table.writeheader()
    table.writerows({name: _csv_cell(value) for name, value in row.items()} for row in rows)
    return text.getvalue()


def _csv_row(workload: WorkloadFigures, figures: ArmFigures) -> dict[str, Any]:
    row: dict[str, Any] = {"arm": figures.arm, "seeds": len(figures.scores), "failures": figures.failures}
    for name, estimate in (("mean", figures.mean), ("median", figures.median), ("iqm", figures.iqm)):
        row |= _interval(name, *estimate[:3])
    row |= {"sd": figures.deviation} | _interval("val_accuracy", *figures.validation[:3])
    _, *sampling = _interval("sampling", *(figures.sampling[:3] if figures.sampling else _NO_INTERVAL)).items()
    row |= {**dict(sampling), "train_loss": figures.train_loss} | _to_best(workload, figures)
    cost = figures.cost
    row |= {"train_seconds": cost.train, "eval_seconds": cost.evaluation, "compile_seconds": cost.compilation}
    return row | {"hyperparameters": json.dumps(dict(figures.hyperparameters))}


def _to_best(workload: WorkloadFigures, figures: ArmFigures) -> dict[str, Any]:
    """Returns the difference to the best arm; empty for the best arm itself."""
    best = workload.arms[0].arm
    difference, beats, p, adjusted = _NO_INTERVAL, _NO_INTERVAL, math.nan, math.nan
    if workload.comparison is not None and figures.arm != best:
        pair = workload.comparison.pair(best, figures.arm)
        difference = (-pair.difference.value, -pair.difference.high, -pair.difference.low)
        beats = (1 - pair.improvement.value, 1 - pair.improvement.high, 1 - pair.improvement.low)
        p, adjusted = pair.p_value, pair.adjusted_p
    row = {"best": best, **_interval("to_best", *difference), "p": p, "holm_p": adjusted}
    return row | _interval("beats_best", *beats)


def _interval(name: str, value: float, low: float, high: float) -> dict[str, float]:
    return {name: value, f"{name}_low": low, f"{name}_high": high}


def _csv_cell(value: Any) -> Any:
    return "" if isinstance(value, float) and not math.isfinite(value) else value
