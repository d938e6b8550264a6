"""Variants of Adam that optax lacks, or has otherwise than their source."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike
from optax import GradientTransformation, Schedule

from fmnist_jax.optim.registry import is_kernel


def scale_by_keras_adam(b1: ArrayLike, b2: ArrayLike, eps: ArrayLike) -> GradientTransformation:
    """Adam's direction with Keras's epsilon: `m / (1 - b1^t) / (sqrt(v) + eps) * sqrt(1 - b2^t)`.

    Here eps is added to the root of the *uncorrected* second moment (the "epsilon hat" at the end of section 2 of
    Kingma & Ba 2015), so it matters more in the first steps than in Algorithm 1, which optax's `scale_by_adam` follows.
    """

    def init(params: Any) -> optax.ScaleByAdamState:
        return optax.ScaleByAdamState(jnp.zeros([], jnp.int32), *(jax.tree.map(jnp.zeros_like, params) for _ in "mv"))

    def update(gradients: Any, state: Any, params: Any = None) -> tuple[Any, optax.ScaleByAdamState]:
        del params
        count = state.count + 1
        mu = optax.tree.update_moment(gradients, state.mu, b1, 1)
        nu = optax.tree.update_moment(gradients, state.nu, b2, 2)
        # 1 - b^t through expm1: for b2 = 0.999 the plain float32 difference loses four digits in the first steps.
        correction = jnp.sqrt(-jnp.expm1(count * jnp.log(b2))) / -jnp.expm1(count * jnp.log(b1))
        updates = jax.tree.map(lambda m, v: correction * m / (jnp.sqrt(v) + eps), mu, nu)
        return updates, optax.ScaleByAdamState(count, mu, nu)

    return GradientTransformation(init, update)


def scale_by_adan(b1: ArrayLike, b2: ArrayLike, b3: ArrayLike, eps: ArrayLike) -> GradientTransformation:
    """Adan's direction (Xie et al. 2022, Algorithm 1, whose betas are one minus these, as in its authors' code).

    optax 0.2.8 weighs the differences of gradients by 1 - b2 where the paper has b2 (optax's pull request 1715).
    """

    def init(params: Any) -> optax.ScaleByAdanState:
        return optax.ScaleByAdanState(*(jax.tree.map(jnp.zeros_like, params) for _ in "mvng"), jnp.zeros([], jnp.int32))

    def update(g: Any, state: Any, params: Any = None) -> tuple[Any, optax.ScaleByAdanState]:
        del params
        t = state.t + 1
        difference = jax.tree.map(lambda new, old: jnp.where(t == 1, 0.0, new - old), g, state.g)
        m = optax.tree.update_moment(g, state.m, b1, 1)
        v = optax.tree.update_moment(difference, state.v, b2, 1)
        n = optax.tree.update_moment(optax.tree.add_scale(g, b2, difference), state.n, b3, 2)
        corrected = (optax.tree.bias_correction(each, b, t) for each, b in ((m, b1), (v, b2), (n, b3)))
        updates = jax.tree.map(lambda m, v, n: (m + b2 * v) / (jnp.sqrt(n) + eps), *corrected)
        return updates, optax.ScaleByAdanState(m, v, n, g, t)

    return GradientTransformation(init, update)


def scale_by_cautious_adam(b1: ArrayLike, b2: ArrayLike, eps: ArrayLike) -> GradientTransformation:
    """Adam's direction where its sign is the gradient's, and 0 elsewhere (Liang et al. 2024).

    Each array's direction is scaled by its size over one more than the number of those entries.
    """
    adam = optax.scale_by_adam(b1, b2, eps)

    def agreeing(direction: jax.Array, gradient: jax.Array) -> jax.Array:
        kept = direction * gradient > 0
        return jnp.where(kept, direction, 0.0) * (kept.size / (jnp.sum(kept) + 1.0))

    def update(gradients: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        directions, state = adam.update(gradients, state, params)
        return jax.tree.map(agreeing, directions, gradients), state

    return GradientTransformation(adam.init, update)


def scale_by_lamb(b1: ArrayLike, b2: ArrayLike, eps: ArrayLike) -> GradientTransformation:
    """LAMB's direction: Adam's, for each kernel as long as the kernel; biases are exempt, as in its authors' code."""
    return optax.chain(optax.scale_by_adam(b1, b2, eps), optax.masked(optax.scale_by_trust_ratio(), is_kernel))


def prodigy(
    rate: Schedule, weight_decay: GradientTransformation, b1: ArrayLike, b2: ArrayLike, eps: ArrayLike
) -> GradientTransformation:
    """optax's Prodigy; the weight decay, like the update, is multiplied by the estimated distance to the solution."""
    undecayed = optax.contrib.prodigy(rate, (b1, b2), eps=eps)

    def init(params: Any) -> tuple[Any, Any]:
        # A copy: the state keeps the initial parameters, and no array of a state may be there twice to be donated.
        return undecayed.init(jax.tree.map(jnp.copy, params)), weight_decay.init(params)

    def update(gradients: Any, state: Any, params: Any = None) -> tuple[Any, tuple[Any, Any]]:
        old, decay_state = state
        updates, new = undecayed.update(gradients, old, params)
        decay, decay_state = weight_decay.update(jax.tree.map(jnp.zeros_like, updates), decay_state, params)
        return optax.tree.add_scale(updates, -old.estim_lr * rate(old.count), decay), (new, decay_state)

    return GradientTransformation(init, update)
