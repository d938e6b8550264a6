"""Schedule-free methods, which evaluate a running average of the parameters (Defazio et al. 2024)."""

from __future__ import annotations

from typing import Any

import jax
import optax
from jax.typing import ArrayLike
from optax import GradientTransformation, Schedule


def schedule_free_sgd(rate: Schedule, weight_decay: GradientTransformation, b1: ArrayLike) -> GradientTransformation:
    """Schedule-free SGD; b1 takes the place of the momentum."""
    return _schedule_free(optax.identity(), rate, weight_decay, b1)


def schedule_free_adamw(
    rate: Schedule, weight_decay: GradientTransformation, b1: ArrayLike, b2: ArrayLike, eps: ArrayLike
) -> GradientTransformation:
    """Schedule-free AdamW; b1 takes the place of that of Adam."""
    return _schedule_free(optax.scale_by_rms(b2, eps, eps_in_sqrt=False, bias_correction=True), rate, weight_decay, b1)


def _schedule_free(
    direction: GradientTransformation, rate: Schedule, weight_decay: GradientTransformation, b1: ArrayLike
) -> GradientTransformation:
    base = optax.chain(direction, weight_decay, optax.scale_by_learning_rate(rate))
    # optax's wrapper counts steps from 1, the base optimizer from 0.
    return optax.contrib.schedule_free(base, lambda step: rate(step - 1), b1)


def schedule_free_params(state: Any, params: Any) -> Any:
    """Recovers the average x from the trained y = (1 - b1) z + b1 x (Defazio et al. 2024, eq. 1)."""
    b1, z = optax.tree.get(state, "b1"), optax.tree.get(state, "z")
    return jax.tree.map(lambda y, z: (y - (1.0 - b1) * z) / b1, params, z)
