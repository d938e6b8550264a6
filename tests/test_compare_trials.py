from __future__ import annotations

import math
from typing import Any

import pytest

from fmnist_jax.compare.records import RunEpoch, TrainedRun
from fmnist_jax.compare.trials import trials_of, winner


def trial(number: int, accuracy: float, loss: float, *, first: float = 0.5, seed: int = 0) -> TrainedRun:
    shared: dict[str, Any] = {
        "trial": number,
        "seed": seed,
        "hyperparameters": {"learning_rate": number / 10},
        "phase": "tune",
    }
    epochs = [(0.0, first), (loss, accuracy)]
    shared |= {"model": "model3", "epochs": 2, "schedule": "constant", "arm": "adam", "optimizer": "adam"}
    shared |= {"member": 0, "chunk": 0, "step": 10, "train_loss": 0.1, "train_accuracy": 0.5}
    return TrainedRun(
        [
            RunEpoch(**shared, epoch=epoch, val_loss=loss, val_accuracy=accuracy, train_seconds=1.0, eval_seconds=1.0)
            for epoch, (loss, accuracy) in enumerate(epochs, start=1)
        ]
    )


@pytest.mark.parametrize(
    ("trials", "number", "diverged"),
    [
        # The last epoch counts, not the best.
        ([trial(0, 0.7, 1.0), trial(1, 0.8, 1.0), trial(2, 0.6, 1.0, first=0.9)], 1, False),
        ([trial(0, 0.8, 1.0), trial(1, 0.8, 0.9), trial(2, 0.8, 0.9)], 1, False),
        ([trial(0, 0.1, 3.0), trial(1, 0.9, math.nan)], 0, False),
        ([trial(0, 0.9, math.nan), trial(1, 0.1, 3.0)], 1, False),
        ([trial(0, 0.1, math.nan), trial(1, 0.2, math.nan)], 0, True),
    ],
)
def test_the_winner_is_the_best_after_the_last_epoch(trials, number, diverged):
    for each in (trials, trials[::-1]):
        found = winner(each)
        assert (found.number, found.hyperparameters, found.diverged) == (
            number,
            {"learning_rate": number / 10},
            diverged,
        )


def test_a_trial_of_several_seeds_has_the_mean_of_their_scores():
    runs = [trial(0, 0.9, 1.0), trial(1, 0.8, 1.0), trial(0, 0.5, 2.0, seed=1), trial(1, 0.7, 3.0, seed=1)]
    first, second = trials_of(runs)
    assert (first.number, len(first.runs), first.score, first.loss) == (0, 2, pytest.approx(0.7), 1.5)
    assert winner(runs) == second
    # Its mean would be the highest still.
    assert winner([*runs, trial(1, 0.9, math.nan, seed=2)]) == first
