"""The tables of a study's report, as text."""

from __future__ import annotations

import dataclasses
import math
import string
from collections.abc import Mapping

from fmnist_jax.compare.analysis.arms import ArmFigures, TuningFigures
from fmnist_jax.compare.analysis.study import WorkloadRuns
from fmnist_jax.compare.analysis.times import ArmAtTarget, TargetFigures
from fmnist_jax.compare.analysis.workload import WorkloadFigures
from fmnist_jax.compare.statistics.comparison import Comparison, PairedComparison
from fmnist_jax.compare.statistics.estimates import Estimate
from fmnist_jax.report.study.content import Table
from fmnist_jax.report.study.context import Context
from fmnist_jax.report.wording import NOTHING, count, decimal, p_value, points, points_between, setting

_LETTERS = string.ascii_lowercase


def results_table(context: Context, workload: WorkloadFigures) -> Table:
    """Returns a row for each arm with final runs, best first."""
    design = context.study.design
    header = ["Arm", "Seeds", "Failed", f"{context.images.capitalize()} accuracy, % [{context.level}]"]
    header += ["To the best, points", "Holm p", "P(beats best)", "Alike"] if workload.comparison else []
    header += ["Median", "IQM", "SD, points"]
    header += ["Validation, %"] if design.score_test and not context.study.validation_is_test else []
    header += ["Train loss"]
    rows = [_result(context, workload, figures) for figures in workload.arms]
    return Table("Results of each arm", header, rows)


def pairs_table(comparison: Comparison) -> Table:
    """Returns a row for each pair of arms."""
    header = ["Pair", "Difference, points", "P(first above)", "p", "Holm p"]
    return Table("Every two arms", header, [_pair(pair) for pair in comparison.pairs])


def settings_table(workload: WorkloadFigures) -> Table:
    """Returns the hyperparameters of each arm: of its final runs, or where there are none yet, of its best trial."""
    found = {figures.arm: figures.hyperparameters for figures in workload.arms}
    found |= {figures.arm: figures.hyperparameters for figures in workload.tuning if figures.arm not in found}
    rows = [[arm, _settings(hyperparameters)] for arm, hyperparameters in found.items()]
    return Table("Settings of each arm", ["Arm", "Settings of its final runs"], rows, numbers=False)


def costs_table(workload: WorkloadFigures) -> Table:
    """Returns the seconds that the final runs of each arm took."""
    rows = [[figures.arm, *map(_number, dataclasses.astuple(figures.cost))] for figures in workload.arms]
    header = ["Arm", "Training, s a run", "Evaluation, s a run", "Compilation, s in all"]
    return Table("Seconds that each arm took", header, rows)


def failures_table(workload: WorkloadRuns) -> Table:
    """Returns a row for each run that diverged."""
    rows = []
    for cell in workload.arms:
        phases = (("trial", cell.trials, "trial"), ("final run, seed", cell.finals, "seed"))
        for kind, members, number in phases:
            lost = [member for member in members if member.diverged]
            rows += [
                [f"{cell.arm}, {kind} {getattr(m, number)}", str(len(m.curve.epoch)), _settings(m.hyperparameters)]
                for m in lost
            ]
    return Table("Runs that diverged", ["Run", "In epoch", "Settings"], rows, numbers=False)


def tuning_table(workload: WorkloadFigures) -> Table:
    """Returns what the tuning of each arm found, the best first."""
    header = ["Arm", "Trials", "Failed", "Defaults, %", "Best trial, %", "Gain, points", "Rate plateau, decades"]
    ordered = sorted(workload.tuning, key=lambda figures: -figures.best)
    return Table("Tuning of each arm", header, [_tuned(figures) for figures in ordered])


def target_table(target: TargetFigures) -> Table:
    """Returns when each arm reached the target."""
    header = ["Arm", "Reached", "Mean steps", "Mean s of training"]
    return Table(f"To {100 * target.target:g} %", header, [_at_target(found) for found in target.arms])


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
    """Returns letters for each arm: two that share one are indistinguishable (Piepho 2004)."""
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
    alike = groups_of(comparison)[figures.arm] if comparison.conclusive else NOTHING
    if figures.arm == best:
        return ["best", NOTHING, NOTHING, alike]
    pair = comparison.pair(best, figures.arm)
    # The pair is of the best above this arm; the row is of this arm beside the best.
    difference = points_between(-pair.difference.value, -pair.difference.high, -pair.difference.low)
    return [difference, p_value(pair.adjusted_p), f"{1 - pair.improvement.value:.2f}", alike]


def _pair(pair: PairedComparison) -> list[str]:
    return [
        f"{pair.a} above {pair.b}",
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
    steps, seconds = (_between(reached.restricted_mean) for reached in (found.steps, found.seconds))
    return [found.arm, f"{found.reached} of {found.runs}", steps, seconds]


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
    """Writes steps or seconds, short ones with digits enough to tell them apart."""
    if not math.isfinite(value):
        return NOTHING
    return count(value) if abs(value) >= 100 else f"{value:#.3g}"


def _letter(place: int) -> str:
    turn, letter = divmod(place, len(_LETTERS))
    return _LETTERS[letter] + (str(turn) if turn else "")
