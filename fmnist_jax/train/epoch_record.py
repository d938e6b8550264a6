"""What is recorded of an epoch, for a run alone and for the members of a population alike."""

from __future__ import annotations

from typing import Any

from fmnist_jax.files.json_files import finite
from fmnist_jax.train.metrics import MetricSums


def epoch_record(
    epoch: int, step: int, trained: MetricSums, scored: MetricSums, learning_rate: float
) -> dict[str, Any]:
    """Returns the record of a (1-based) epoch that ended after `step` steps; numbers that are not finite are `None`.

    **Arguments:**

    - `trained`: counts of its training; `scored`: of the validation split after it.
    - `learning_rate`: that of its last step.
    """
    figures = {f"train_{name}": value for name, value in trained.means().items()}
    figures |= {f"val_{name}": value for name, value in scored.means().items()}
    return dict(finite({"epoch": epoch, "step": step, **figures, "learning_rate": learning_rate}))


def diverged(record: dict[str, Any]) -> bool:
    """Whether a loss of the epoch was not finite.

    An epoch's last step can spoil the parameters when the losses in training were finite still: both tell.
    """
    return record["train_loss"] is None or record["val_loss"] is None
