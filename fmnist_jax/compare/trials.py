"""The trials of an arm: the settings that tuning tried, each scored by the runs that have it; which of them wins."""

from __future__ import annotations

import dataclasses
import itertools
import statistics
from collections.abc import Iterable, Mapping, Sequence

from fmnist_jax.compare.planned import PlannedRun
from fmnist_jax.compare.records import TrainedRun


@dataclasses.dataclass(frozen=True)
class Trial:
    """A setting of an arm, and the `runs` that have it, one for each of its seeds."""

    runs: Sequence[TrainedRun]

    @property
    def number(self) -> int:
        return self.runs[0].trial

    @property
    def hyperparameters(self) -> Mapping[str, float]:
        return self.runs[0].hyperparameters

    @property
    def settings(self) -> Mapping[str, float | str]:
        """The hyperparameters, and the batch size and the warm-up where they are its own."""
        return self.runs[0].last.settings

    @property
    def diverged(self) -> bool:
        """Whether any of its runs did."""
        return any(run.diverged for run in self.runs)

    @property
    def budget(self) -> int:
        """The epochs for which it was trained."""
        return self.runs[0].last.budget

    @property
    def order(self) -> tuple[float, ...]:
        """Sorts trials, the best first: by budget, score and loss; those that diverged come last, in any order."""
        return (1.0,) if self.diverged else (0.0, -self.budget, -self.score, self.loss)

    @property
    def score(self) -> float:
        """Mean validation accuracy after the last epoch; a run that diverged counts with that of chance."""
        return statistics.fmean(run.final_val_accuracy for run in self.runs)

    @property
    def loss(self) -> float:
        """Mean validation loss after the last epoch."""
        return statistics.fmean(run.last.val_loss for run in self.runs)


def trials_of(runs: Iterable[TrainedRun]) -> list[Trial]:
    """Returns the trials that the runs of an arm belong to, by number, each with its runs of the largest budget."""
    ordered = sorted(runs, key=lambda run: (run.trial, -run.last.budget, run.seed))
    by_trial = (list(own) for _, own in itertools.groupby(ordered, lambda run: run.trial))
    return [Trial([run for run in own if run.last.budget == own[0].last.budget]) for own in by_trial]


def winner(runs: Iterable[TrainedRun]) -> Trial:
    """Returns the trial whose settings the final runs take, from the runs of one trial or more.

    It has the highest score of those that were trained to the end; of equals the lowest loss, of these the lowest
    number. One with a run that diverged never wins, unless all have one: then the first one does, the defaults.
    """
    return min(trials_of(runs), key=lambda trial: trial.order)


def with_settings_of(trial: Trial, run: PlannedRun) -> PlannedRun:
    """Returns the run with the settings of the trial."""
    last = trial.runs[0].last
    return dataclasses.replace(
        run,
        trial=trial.number,
        hyperparameters=last.hyperparameters,
        batch_size=last.batch_size,
        warmup=last.warmup,
    )
