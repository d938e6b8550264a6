"""Losses by name: functions of logits and soft targets, one number for each example."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import jax
import jax.numpy as jnp
import optax
from jax import Array
from ml_collections import ConfigDict

from fmnist_jax.config.registry import Registry
from fmnist_jax.errors import ConfigError
from fmnist_jax.runtime.user_code import output

LossFunction: TypeAlias = Callable[[Array, Array], Array]

# Each entry makes the function from the section `loss` of the config.
LOSSES: Registry[Callable[[ConfigDict], LossFunction]] = Registry("a loss", "config.loss.name")


def register(name: str, function: LossFunction) -> None:
    """Registers a loss, for `config.loss.name`; a second one under the same name replaces the first.

    **Arguments:**

    - `function`: `function(logits, targets) -> losses`, from `float32[batch, classes]` each to `float32[batch]`. Each
      row of the targets sums to 1: the true class, smoothed by `config.loss.label_smoothing`, or mixed classes.

    **Raises:** `ValueError` for a built-in loss's name.
    """
    LOSSES.register(name, lambda section: function)


def focal(logits: Array, targets: Array, gamma: float) -> Array:
    """Cross-entropy of each class, weighted by (1 - p)^gamma (Lin et al. 2017, "Focal Loss", eq. 4, without alpha).

    With `gamma` 0 it is the cross-entropy.
    """
    log_p = jax.nn.log_softmax(logits)
    # The bound keeps the gradient finite where p is 1 and gamma below 1.
    weight = jnp.maximum(-jnp.expm1(log_p), jnp.finfo(jnp.float32).tiny) ** gamma
    return -jnp.sum(targets * weight * log_p, axis=-1)


LOSSES.register("cross_entropy", lambda section: optax.softmax_cross_entropy)
LOSSES.register("focal", lambda section: lambda logits, targets: focal(logits, targets, section.gamma))
LOSSES.protect()


def make(section: ConfigDict, num_classes: int) -> LossFunction:
    """Returns the loss that `config.loss` describes, `loss(logits, labels) -> float32[batch]`.

    Its `labels` are classes, `int32[batch]`, or what is to be smoothed, `float32[batch, classes]`.

    **Raises:** `ConfigError` for an unknown name, or a user's loss that fails or is not one number for each example.
    """
    function, smoothing = LOSSES.get(section.name)(section), section.label_smoothing
    if not LOSSES.is_built_in(section.name):
        _check(section.name, function, num_classes)

    def loss(logits: Array, labels: Array) -> Array:
        if labels.ndim == 1 and section.name == "cross_entropy" and not smoothing:
            return optax.softmax_cross_entropy_with_integer_labels(logits, labels)
        targets = jax.nn.one_hot(labels, num_classes) if labels.ndim == 1 else labels
        return function(logits, optax.smooth_labels(targets, smoothing) if smoothing else targets)

    return loss


def _check(name: str, function: LossFunction, num_classes: int) -> None:
    batch = num_classes + 1  # unlike any other size, so that axes cannot be mistaken for one another
    of_batch = jax.ShapeDtypeStruct((batch, num_classes), jnp.float32)
    found = output(f"loss {name!r}", function, of_batch, of_batch)
    if found.shape != (batch,) or not jnp.issubdtype(found.dtype, jnp.floating):
        raise ConfigError(
            f"loss {name!r} must map logits and targets, float32{[batch, num_classes]}, to a loss for each example, "
            f"float32{[batch]}, not to {found.dtype}{list(found.shape)}"
        )
