"""Methods that evaluate the batch's loss again, for how it curves: SAM and Sophia."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import optax
from jax.typing import ArrayLike
from optax import GradientTransformation, GradientTransformationExtraArgs, Schedule


def sam(
    rate: Schedule,
    weight_decay: GradientTransformation,
    clip_norm: ArrayLike | None,
    momentum: ArrayLike,
    rho: ArrayLike,
) -> GradientTransformationExtraArgs:
    """Momentum with the gradient at `w + rho g / |g|`, of the same batch (Foret et al. 2021, Algorithm 1).

    optax's own divides by a norm that may be zero, and would need the gradient as a function. `clip_norm` is for the
    second gradient: the length of the first does not matter.
    """
    clip = optax.identity() if clip_norm is None else optax.clip_by_global_norm(clip_norm)
    descent = optax.chain(clip, optax.trace(momentum), weight_decay, optax.scale_by_learning_rate(rate))

    def update(
        gradients: Any, state: Any, params: Any = None, *, value_fn: Callable[[Any], jax.Array], **extra: Any
    ) -> tuple[Any, Any]:
        del extra
        ascent = rho / (optax.tree.norm(gradients) + 1e-12)
        return descent.update(jax.grad(value_fn)(optax.tree.add_scale(params, ascent, gradients)), state, params)

    return GradientTransformationExtraArgs(descent.init, update)


def scale_by_sophia(b1: ArrayLike, b2: ArrayLike, eps: ArrayLike, gamma: ArrayLike) -> GradientTransformationExtraArgs:
    """optax's Sophia-H without its rate and decay: `clip(m / max(gamma h, eps), -1, 1)`.

    h, the Hessian's diagonal, is estimated every 10 steps, by Hutchinson's method, with the same signs for all seeds.
    Other than in the paper, m is corrected for its bias, and an estimate is used from the step after it.
    """
    ascent = optax.chain(optax.contrib.sophia(1.0, b1, b2, eps, weight_decay=0.0, gamma=gamma), optax.scale(-1.0))

    def update(
        gradients: Any, state: Any, params: Any = None, *, value_fn: Callable[[Any], jax.Array], **extra: Any
    ) -> tuple[Any, Any]:
        del extra
        return ascent.update(gradients, state, params, obj_fn=value_fn)

    return GradientTransformationExtraArgs(ascent.init, update)
