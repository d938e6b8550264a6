"""The trials of an arm: the settings that tuning tried, each scored by the runs that have it; which of them wins."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import statistics
from collections.abc import Iterable, Mapping, Sequence

from fmnist_jax.compare.planned import PlannedChunk
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
    def score(self) -> float:
        """Mean validation accuracy after the last epoch; a run that diverged counts with that of chance."""
        return statistics.fmean(run.final_val_accuracy for run in self.runs)

    @property
    def loss(self) -> float:
        """Mean validation loss after the last epoch."""
        return statistics.fmean(run.last.val_loss for run in self.runs)


def trials_of(runs: Iterable[TrainedRun]) -> list[Trial]:
    """Returns the trials that the runs of an arm belong to, by number."""
    ordered = sorted(runs, key=lambda run: (run.trial, run.seed))
    return [Trial(list(own)) for _, own in itertools.groupby(ordered, lambda run: run.trial)]


def winner(runs: Iterable[TrainedRun]) -> Trial:
    """Returns the trial whose settings the final runs take, from the runs of one trial or more.

    It has the highest score; of equals the lowest loss, of these the lowest number. One with a run that diverged never
    wins, unless all have one: then the first one does, the defaults.
    """
    trials = trials_of(runs)
    kept = [trial for trial in trials if not trial.diverged] or trials[:1]
    return min(kept, key=lambda trial: (-trial.score, trial.loss))


def with_settings_of(trial: Trial, chunk: PlannedChunk) -> PlannedChunk:
    """Returns the chunk of final runs with the settings of the trial."""
    last = trial.runs[0].last
    own = functools.partial(
        dataclasses.replace,
        trial=trial.number,
        hyperparameters=last.hyperparameters,
        batch_size=last.batch_size,
        warmup=last.warmup,
    )
    return dataclasses.replace(chunk, members=[own(run) for run in chunk.members])
