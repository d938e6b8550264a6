"""Which checkpoints of a run are kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from orbax.checkpoint.checkpoint_managers import preservation_policy

from fmnist_jax.train.epochs import History


class PreservationPolicy(preservation_policy.PreservationPolicy):
    """Keeps the newest checkpoints and, with `best`, the best of those that exist.

    Orbax's own policy for the best knows only the accuracies that its own process saved.
    """

    def __init__(self, newest: int, best: bool):
        self.accuracies: dict[int, float] = {}
        self._newest, self._best = newest, best

    def kept(self, epochs: Sequence[int]) -> set[int]:
        """Returns which of `epochs`, in ascending order, to keep; forgets the accuracies of the others."""
        kept = set(epochs[-self._newest :])
        if self._best and epochs:
            kept.add(best_epoch(epochs, self.accuracies))
        self.accuracies = {epoch: self.accuracies[epoch] for epoch in kept}
        return kept

    def should_preserve(self, checkpoints: Sequence[Any], *, context: Any) -> list[bool]:
        del context
        kept = self.kept([checkpoint.step for checkpoint in checkpoints])
        return [checkpoint.step in kept for checkpoint in checkpoints]


def val_accuracies(history: History) -> dict[int, float]:
    """Returns the validation accuracy of each epoch."""
    return {record["epoch"]: record["val_accuracy"] for record in history}


def best_epoch(epochs: Sequence[int], accuracies: Mapping[int, float]) -> int:
    """Returns the epoch of the highest accuracy, the latest of equals."""
    return max(epochs, key=lambda epoch: (accuracies[epoch], epoch))
