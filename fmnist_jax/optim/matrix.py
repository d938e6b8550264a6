"""Methods that update a kernel `[..., out]` as a matrix, `[product of the rest, out]`."""

from __future__ import annotations

from typing import Any

import jax
import optax
from jax.typing import ArrayLike
from optax import GradientTransformation, Schedule

from fmnist_jax.optim.groups import parameter_groups


def muon(
    rate: Schedule,
    weight_decay: GradientTransformation,
    learning_rate: ArrayLike,
    num_classes: int | None,
    adam_learning_rate: ArrayLike,
    momentum: ArrayLike,
    b1: ArrayLike,
    b2: ArrayLike,
    eps: ArrayLike,
) -> GradientTransformation:
    """Orthogonalised momentum for kernels, AdamW for head and biases (Jordan 2024; scaled as Liu et al. 2025)."""

    def group(path: str, leaf: Any) -> str:
        is_head = leaf.ndim == 2 and leaf.shape[-1] == num_classes
        return "adam" if leaf.ndim < 2 or is_head else "muon"

    orthogonal = optax.contrib.scale_by_muon(beta=momentum, eps=eps, weight_dimension_numbers=_muon_axes)
    directions = {
        "muon": optax.chain(orthogonal, optax.stateless(_muon_scale)),
        "adam": optax.chain(optax.scale_by_adam(b1, b2, eps), optax.scale(adam_learning_rate / learning_rate)),
    }
    return optax.chain(parameter_groups(directions, group), weight_decay, optax.scale_by_learning_rate(rate))


def _muon_axes(params: Any) -> Any:
    axes = optax.contrib.MuonDimensionNumbers
    return jax.tree.map(lambda w: axes(tuple(range(w.ndim - 1)), w.ndim - 1), params)


def _muon_scale(updates: Any, params: Any = None) -> Any:
    """Scales an orthogonal update to the root mean square that Adam's has (Liu et al. 2025, eq. 4)."""
    del params
    return jax.tree.map(lambda u: 0.2 * max(u.size // u.shape[-1], u.shape[-1]) ** 0.5 * u, updates)
