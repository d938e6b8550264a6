"""The tables of a study's report."""

from __future__ import annotations

import math
import string
from collections.abc import Mapping
from typing import TypeAlias

from fmnist_jax.compare.analysis.arms import ArmFigures
from fmnist_jax.compare.analysis.study import WorkloadRuns
from fmnist_jax.compare.analysis.times import TargetFigures
from fmnist_jax.compare.analysis.workload import WorkloadFigures
from fmnist_jax.compare.statistics.comparison import Comparison, PairedComparison
from fmnist_jax.compare.statistics.estimates import Estimate
from fmnist_jax.report.format import NOTHING, count, decimal, p_value, points, points_between, setting
from fmnist_jax.report.model import Table
from fmnist_jax.report.provenance import metric_direction
from fmnist_jax.report.study.context import Context

Interval: TypeAlias = tuple[float, float, float]  # the estimate, its lower and its upper confidence limit


def results_table(context: Context, workload: WorkloadFigures) -> Table:
    """Returns a row for each arm with final runs, best first; what a narrow screen shows of it comes first."""
    comparison = workload.comparison
    with_validation = context.study.design.score_test and not context.study.validation_is_test
    header = ["Arm", f"{context.images.capitalize()} accuracy, % [{context.level} CI]"]
    header += ["Group", "Difference to best, points", "Holm-adjusted p", "P(beats best)"] if comparison else []
    header += ["Seeds", "Diverged", "Median", "IQM", "SD, points"]
    header += ["Validation, %", "Train loss"] if with_validation else ["Train loss"]
    header += [_metric_header(context, name) for name in context.study.metrics]
    rows = []
    for figures in workload.arms:
        row = [figures.arm, _estimate(figures.mean)]
        row += _against_best(comparison, figures.arm) if comparison else []
        row += [str(len(figures.scores)), str(figures.failures)]
        row += [points(figures.median.value), points(figures.iqm.value), points(figures.deviation)]
        row += [points(figures.validation.value)] if with_validation else []
        rows.append([*row, *map(_decimal, (figures.train_loss, *figures.metrics.values()))])
    return Table("Results of each arm", header, rows)


def _metric_header(context: Context, key: str) -> str:
    """As `"ece (lower is better)"`."""
    direction = metric_direction(context.study.manifest, key)
    return key.partition("_")[2] + (f" ({direction})" if direction else "")


def _decimal(value: float) -> str:
    return decimal(value) if math.isfinite(value) else NOTHING


def _against_best(comparison: Comparison, arm: str) -> list[str]:
    group = NOTHING
    if comparison.conclusive:
        # Arms that share a letter do not differ significantly (Piepho 2004).
        groups = [number for number, members in enumerate(comparison.ordering.groups) if arm in members]
        group = "".join(f"{string.ascii_lowercase[number % 26]}{number // 26 or ''}" for number in groups)
    if arm == comparison.arms[0]:
        return [group, "best", NOTHING, NOTHING]
    pair = comparison.pair(comparison.arms[0], arm)
    difference, improvement = reversed_pair(pair)
    return [group, points_between(*difference), p_value(pair.adjusted_p), f"{improvement[0]:.2f}"]


def reversed_pair(pair: PairedComparison) -> tuple[Interval, Interval]:
    """Returns the mean of b - a, and P(B > A), each with its limits."""
    difference, improvement = pair.difference, pair.improvement
    return (
        (-difference.value, -difference.high, -difference.low),
        (1 - improvement.value, 1 - improvement.high, 1 - improvement.low),
    )


def pairs_table(context: Context, comparison: Comparison) -> Table:
    """Returns a row for each pair of arms."""
    header = ["Pair", f"Difference, points [{context.level} CI]", "P(first > second)", "p", "Holm-adjusted p"]
    rows = [
        [
            f"{pair.a} \N{MINUS SIGN} {pair.b}",
            _estimate(pair.difference),
            f"{pair.improvement.value:.2f}",
            p_value(pair.p_value),
            p_value(pair.adjusted_p),
        ]
        for pair in comparison.pairs
    ]
    return Table("Pairwise differences", header, rows)


def hyperparameters_table(workload: WorkloadFigures) -> Table:
    """Returns the hyperparameters of each arm: of its final runs, or of its best trial where there are none yet."""
    found = {figures.arm: figures.hyperparameters for figures in workload.arms}
    found |= {figures.arm: figures.hyperparameters for figures in workload.tuning if figures.arm not in found}
    rows = [[arm, _settings(hyperparameters)] for arm, hyperparameters in found.items()]
    return Table("Hyperparameters of each arm", ["Arm", "Hyperparameters"], rows, numeric=False)


def costs_table(context: Context, workload: WorkloadFigures) -> Table:
    """Returns the memory of each arm's optimizer, and the seconds of its final runs."""
    reference = reference_arm(workload)
    step = f"Time per step, {reference.arm} = 1"
    header = ["Arm", "Optimizer memory, parameters = 1"]
    header += ["Training, s per run", step, "Evaluation, s per run", "Compilation, s in total"] * context.times
    rows = []
    for figures in workload.arms:
        cost = figures.cost
        seconds = (cost.train, cost.step / reference.cost.step, cost.evaluation, cost.compilation)
        rows.append([figures.arm, _ratio(cost.optimizer_state), *map(_number, seconds * context.times)])
    return Table("Cost of each arm", header, rows)


def reference_arm(workload: WorkloadFigures) -> ArmFigures:
    """Returns the arm that time per step is relative to: SGD, else the fastest."""
    sgd = next((figures for figures in workload.arms if figures.arm.partition(":")[0] == "sgd"), None)
    timed = [figures for figures in workload.arms if figures.cost.step > 0] or workload.arms
    return sgd or min(timed, key=lambda figures: figures.cost.step)


def _ratio(value: float) -> str:
    return f"{value:.2f}" if math.isfinite(value) else NOTHING


def failures_table(workload: WorkloadRuns) -> Table:
    """Returns a row for each run that diverged."""
    rows = []
    for arm in workload.arms:
        runs = [(f"trial {run.trial}, seed {run.seed}", run) for run in arm.tuning]
        runs += [(f"final run, seed {run.seed}", run) for run in arm.finals]
        rows += [
            [f"{arm.arm}, {name}", str(len(run.history)), _settings(run.last.settings)]
            for name, run in runs
            if run.diverged
        ]
    return Table("Runs that diverged", ["Run", "Epoch", "Hyperparameters"], rows, numeric=False)


def tuning_table(workload: WorkloadFigures) -> Table:
    """Returns the tuning results of each arm, the best first."""
    header = ["Arm", "Trials", "Diverged", "Defaults, %", "Best trial, %", "Gain, points", "LR plateau, decades"]
    rows = []
    for figures in sorted(workload.tuning, key=lambda figures: -figures.best):
        defaults, gain = NOTHING, NOTHING
        if figures.defaults is not None:
            defaults, gain = points(figures.defaults), points(figures.best - figures.defaults)
        plateau = NOTHING if figures.sensitivity is None else f"{figures.sensitivity.decades:.1f}"
        trials, failures = str(figures.trials), str(figures.failures)
        rows.append([figures.arm, trials, failures, defaults, points(figures.best), gain, plateau])
    return Table("Tuning of each arm", header, rows)


def target_table(context: Context, target: TargetFigures) -> Table:
    """Returns the steps and seconds of each arm to the target."""
    header = ["Arm", "Reached", "Mean steps", *(["Mean training s"] if context.times else [])]
    rows = []
    for found in target.arms:
        steps = _between(found.steps.restricted_mean)
        seconds = NOTHING if found.seconds is None else _between(found.seconds.restricted_mean)
        rows.append([found.arm, f"{found.reached} of {found.runs}", steps, *([seconds] if context.times else [])])
    return Table(f"Time to {100 * target.target:g} %", header, rows)


def across_table(context: Context) -> Table:
    """Returns the mean of each arm on each workload, in the order of the config."""
    workloads = context.analysis.workloads
    rows = [
        [arm, *(_on(workload, arm, context.analysis.complete) for workload in workloads)]
        for arm in context.study.design.arms
    ]
    return Table("Accuracy on each workload", ["Arm", *(f"{workload.name}, %" for workload in workloads)], rows)


def _on(workload: WorkloadFigures, arm: str, complete: bool) -> str:
    figures = next((found for found in workload.arms if found.arm == arm), None)
    if figures is None:
        return NOTHING
    comparison = workload.comparison
    best = comparison is not None and complete and comparison.conclusive and arm in comparison.ordering.best
    return f"{_estimate(figures.mean)}{' *' if best else ''}"


def _estimate(estimate: Estimate) -> str:
    return points_between(estimate.value, estimate.low, estimate.high)


def _between(mean: Estimate) -> str:
    between = f" [{_number(mean.low)}, {_number(mean.high)}]" if math.isfinite(mean.low) else ""
    return f"{_number(mean.value)}{between}"


def _number(value: float) -> str:
    """Formats steps or seconds; values below 100 have three significant digits."""
    if not math.isfinite(value):
        return NOTHING
    return count(value) if abs(value) >= 100 else f"{value:#.3g}"


def _settings(hyperparameters: Mapping[str, float | str]) -> str:
    return ", ".join(f"{name} {setting(value)}" for name, value in hyperparameters.items()) or "none"
