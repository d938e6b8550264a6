"""What is recorded of an epoch, for a run alone and for the members of a population alike."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fmnist_jax.files.atomic import finite

if TYPE_CHECKING:  # reports of studies use `diverged`, and import no jax
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


def diverged(record: Mapping[str, Any]) -> bool:
    """Returns whether a loss of the epoch was not finite, which a record has as `None` or NaN.

    An epoch's last step can spoil the parameters when the losses in training were finite still: both tell.
    """
    return not all(_is_finite(record[name]) for name in ("train_loss", "val_loss"))


def _is_finite(loss: float | None) -> bool:
    return loss is not None and math.isfinite(loss)
