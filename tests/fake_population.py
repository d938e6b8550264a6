"""A population that trains nothing: its figures are drawn from what a run is, so that they are the same each time."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from fmnist_jax.data import Dataset
from fmnist_jax.train.interrupts import Interrupts
from fmnist_jax.train.network import Member
from fmnist_jax.train.population import Outcome
from fmnist_jax.train.weights import Weights

STEPS = 3  # an epoch
DIVERGES_ABOVE = 0.5  # a learning rate


class FakePopulation:
    """Stands in for `Population`; takes two runs a chunk unless told otherwise.

    **Attributes:**

    - `trained`: what all of them were asked to train, a chunk each.
    """

    trained: list[dict[str, Any]]
    before_chunk: Callable[[int], None]

    def __init__(
        self,
        config: ConfigDict,
        dataset: Dataset,
        *,
        executor: str = "auto",
        max_concurrent: int = 0,
        weights: Weights | None = None,
    ):
        self.executor = "threads" if executor == "auto" else executor
        self._config, self._max_concurrent = config, max_concurrent or 2

    def chunks(self, members: int) -> list[int]:
        whole, rest = divmod(members, self._max_concurrent)
        return [self._max_concurrent] * whole + [rest] * bool(rest)

    def train(
        self,
        members: Sequence[Member],
        *,
        padded_size: int,
        score_test: bool,
        stop_after: int,
        on_epoch: Callable[[int], None],
        interrupts: Interrupts,
    ) -> Outcome:
        del interrupts
        self.before_chunk(len(self.trained))
        self.trained.append(
            {"config": self._config, "members": members, "padded_size": padded_size, "score_test": score_test}
            | {"epochs": stop_after}
        )
        epochs = stop_after
        histories = [self._history(member, score_test)[:stop_after] for member in members]
        for epoch in range(1, max(map(len, histories)) + 1):
            on_epoch(epoch)
        return Outcome(histories, [2.0] * epochs, [0.5] * epochs, 1.0, self.executor, "fake", 400, 800)

    def _history(self, member: Member, score_test: bool) -> list[dict[str, Any]]:
        if member.hyperparameters["learning_rate"] > DIVERGES_ABOVE:
            return [self._record(1, 0.1, None) | ({"test_loss": None, "test_accuracy": None} if score_test else {})]
        config = self._config
        numbers = sorted((name, float(value)) for name, value in member.hyperparameters.items())
        what = [config.model.name, config.optimizer.name, config.schedule.name, int(member.seed), numbers]
        digest = hashlib.sha256(repr(what).encode()).digest()
        accuracies = np.random.default_rng(list(digest)).uniform(0.2, 0.9, config.train.epochs)
        history = [self._record(epoch, float(value), 1.0) for epoch, value in enumerate(accuracies, start=1)]
        if score_test:
            history[-1] |= {"test_loss": 1.1, "test_accuracy": history[-1]["val_accuracy"]}
        return history

    def _record(self, epoch: int, accuracy: float, loss: float | None) -> dict[str, Any]:
        figures = {"train_loss": loss, "train_accuracy": accuracy, "val_loss": loss, "val_accuracy": accuracy}
        return {"epoch": epoch, "step": epoch * STEPS, **figures, "learning_rate": 0.1}
