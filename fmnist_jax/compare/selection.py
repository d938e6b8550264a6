"""Choosing among an arm's trials: by validation accuracy after the last epoch, never by the test set."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from fmnist_jax.compare.results import Line, by_member
from fmnist_jax.train.epoch_record import diverged


class Winner(NamedTuple):
    """The trial whose settings the final runs take; `diverged` where every trial did, so that it is the defaults."""

    trial: int
    hyperparameters: Mapping[str, float]
    diverged: bool


def winner(lines: Iterable[Line]) -> Winner:
    """Returns the best trial of those whose lines these are.

    It has the highest validation accuracy after its last epoch; of equals the lowest validation loss, of these the
    lowest number. One that diverged never wins, unless all did: then the defaults, trial 0, do.
    """
    last = [run[-1] for run in by_member(lines)]
    sound = [line for line in last if not diverged(line)]
    if sound:
        best = min(sound, key=lambda line: (-line["val_accuracy"], line["val_loss"], line["trial"]))
    else:
        best = min(last, key=lambda line: line["trial"])
    return Winner(best["trial"], best["hyperparameters"], not sound)
