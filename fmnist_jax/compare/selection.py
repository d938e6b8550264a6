"""Which trials go on and whose settings the final runs take.

With successive halving, trials that cannot win are stopped early: all trials of an arm are trained for a few epochs,
the best of them anew for more, and so on, the last ones for all epochs (Jamieson & Talwalkar 2016, "Non-stochastic
Best Arm Identification and Hyperparameter Optimization"; Li et al. 2018, "Hyperband", section 3). A trial that goes on
starts again, under the schedule of the whole run as before: a study keeps no weights, and a fresh seed frees the score
of the luck that it was chosen by.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from fmnist_jax.compare.planned import PlannedChunk
from fmnist_jax.compare.records import TUNE, TrainedRun
from fmnist_jax.compare.trials import Trial, trials_of, winner, with_settings_of


class Rung(NamedTuple):
    """So many `trials` trained for so many `epochs`."""

    epochs: int
    trials: int


def rungs(trials: int, epochs: int, factor: int) -> list[Rung]:
    """Returns the rungs, the last one of all epochs: from one to the next 1 / `factor` of the trials, each for longer.

    As many as leave a trial and an epoch to the outermost; with a `factor` of 0 that one alone.
    """
    steps = 0
    while factor and min(trials, epochs) // factor ** (steps + 1):
        steps += 1
    return [Rung(epochs // factor ** (steps - step), trials // factor**step) for step in range(steps + 1)]


def with_settings(chunk: PlannedChunk, runs: Iterable[TrainedRun]) -> tuple[PlannedChunk, Trial | None]:
    """Returns the chunk with the settings of all its runs, and the trial from which its final runs take theirs, if any.

    **Arguments:**

    - `runs`: all that have been trained.
    """
    if all(run.hyperparameters is not None for run in chunk.members):
        return chunk, None
    tuning = [run for run in runs if run.last.cell == chunk.cell and run.last.phase == TUNE]
    if chunk.phase == TUNE:
        ranked = _ranked([run for run in tuning if run.last.budget < chunk.budget])
        members = [with_settings_of(ranked[run.rank or 0], run) for run in chunk.members]
        return dataclasses.replace(chunk, members=members), None
    best = winner(tuning)
    return dataclasses.replace(chunk, members=[with_settings_of(best, run) for run in chunk.members]), best


def _ranked(runs: Sequence[TrainedRun]) -> list[Trial]:
    """The trials of the highest rung, the best first."""
    highest = max(run.last.budget for run in runs)
    return sorted(trials_of(run for run in runs if run.last.budget == highest), key=lambda trial: trial.order)
