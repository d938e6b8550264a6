"""What the tuning of an arm found: its best trial, what more trials bring, how much the learning rate matters."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from fmnist_jax.compare.analysis.study import Cell, Member, SearchRange
from fmnist_jax.compare.statistics.boundary import AtEdge, at_edges
from fmnist_jax.compare.statistics.sensitivity import Sensitivity, learning_rate_sensitivity
from fmnist_jax.compare.statistics.tuning import TuningCurve, expected_best

RATE = "learning_rate"


@dataclasses.dataclass(frozen=True)
class TuningFigures:
    """The trials of an arm, each scored by its validation accuracy, that of chance where it diverged.

    **Attributes:**

    - `trials`, `failures`: how many there are, and how many of them diverged.
    - `defaults`: the score of trial 0, `None` where it is not there yet.
    - `best_trial`, `best`: number and score of the best trial; `hyperparameters` are its.
    - `edges`: those of them near the bound of their range.
    - `curve`: the expected best score by number of trials, of which the first is trial 0.
    - `sensitivity`: to the learning rate, `None` where it was not searched.
    """

    arm: str
    trials: int
    failures: int
    defaults: float | None
    best_trial: int
    best: float
    hyperparameters: Mapping[str, float]
    edges: Sequence[AtEdge]
    curve: TuningCurve
    sensitivity: Sensitivity | None


def tuning_figures(cell: Cell, ranges: Mapping[str, SearchRange], level: float) -> TuningFigures:
    """Returns the figures of a cell that has trials."""
    best = best_trial(cell.trials)
    defaults = next((member.final_val_accuracy for member in cell.trials if member.trial == 0), None)
    return TuningFigures(
        arm=cell.arm,
        trials=len(cell.trials),
        failures=sum(member.diverged for member in cell.trials),
        defaults=defaults,
        best_trial=best.trial,
        best=best.final_val_accuracy,
        hyperparameters=best.hyperparameters,
        edges=() if best.diverged else at_edges(best.hyperparameters, ranges),
        curve=_curve(cell.trials, defaults, level),
        sensitivity=_sensitivity(cell.trials, ranges.get(RATE)),
    )


def best_trial(trials: Sequence[Member]) -> Member:
    """Returns the trial that the study chooses, of one or more; the first where all diverged.

    It has the highest validation accuracy after the last epoch; of equals the lowest loss, of these the lowest number.
    """
    kept = [member for member in trials if not member.diverged] or list(trials[:1])
    return min(kept, key=lambda m: (-m.final_val_accuracy, float(m.curve.val_loss[-1]), m.trial))


def _curve(trials: Sequence[Member], defaults: float | None, level: float) -> TuningCurve:
    searched = [member.final_val_accuracy for member in trials if member.trial != 0 or defaults is None]
    if not searched:
        return expected_best([member.final_val_accuracy for member in trials], level=level)
    return expected_best(searched, defaults, level)


def _sensitivity(trials: Sequence[Member], range_: SearchRange | None) -> Sensitivity | None:
    rates = [member.hyperparameters.get(RATE, 0.0) for member in trials]
    if min(rates) <= 0 or min(rates) == max(rates):
        return None
    # The defaults, which are a trial too, may lie outside what is searched.
    low = min(*rates, range_.low) if range_ else min(rates)
    high = max(*rates, range_.high) if range_ else max(rates)
    return learning_rate_sensitivity(rates, [member.final_val_accuracy for member in trials], low, high)
