"""Batch normalisation with a backward pass of its own (Ioffe & Szegedy 2015, "Batch Normalization", section 3).

Differentiated step by step, it reads and writes the activations twice as often as it has to, and sums over the devices
that share a batch one quantity at a time. Here the two sums of each pass go together.
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
from jax import lax

from fmnist_jax.runtime import batch_sharding


@functools.partial(jax.custom_vjp, nondiff_argnums=(4,))
def batch_norm(
    x: jax.Array, scale: jax.Array, bias: jax.Array, mask: jax.Array | None, epsilon: float
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Normalises each channel of a batch to mean 0 and variance 1, then scales and shifts it.

    **Arguments:**

    - `x`: `[batch, ..., channels]`; `scale`, `bias`: `[channels]`.
    - `mask`: `bool[batch]`, false for padding, which is normalised but not counted; `None` where there is none.
    - `epsilon`: added to the variance.

    **Returns:** `x` normalised, in its dtype; the mean and the variance, `float32[channels]` or wider.
    """
    return _forward(x, scale, bias, mask, epsilon)[0]


# `x`, the scale, the mask, the mean, 1 / the standard deviation, and the number of values of a channel.
_Residuals = tuple[jax.Array, jax.Array, jax.Array | None, jax.Array, jax.Array, jax.Array]


def _forward(
    x: jax.Array, scale: jax.Array, bias: jax.Array, mask: jax.Array | None, epsilon: float
) -> tuple[tuple[jax.Array, jax.Array, jax.Array], _Residuals]:
    wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    weights = _weights(x, mask)
    count = jnp.maximum(1, weights.sum()).astype(wide.dtype) * (x.size // x.shape[0] // x.shape[-1])
    counted = wide if mask is None else jnp.where(weights, wide, 0)
    mean, mean_square = _sums(counted, counted * wide) / count
    variance = jnp.maximum(0, mean_square - mean * mean)
    inverse = lax.rsqrt(variance + epsilon)
    y = (wide - mean) * (inverse * scale) + bias
    return (y.astype(x.dtype), mean, variance), (x, scale, mask, mean, inverse, count)


def _backward(
    epsilon: float, residuals: _Residuals, cotangents: tuple[jax.Array, jax.Array, jax.Array]
) -> tuple[jax.Array, jax.Array, jax.Array, None]:
    del epsilon
    x, scale, mask, mean, inverse, count = residuals
    d_y, d_mean, d_variance = cotangents
    d_y, centred = d_y.astype(mean.dtype), x.astype(mean.dtype) - mean
    d_bias, d_inverse_scale = _sums(d_y, d_y * centred)
    d_mean = d_mean - inverse * scale * d_bias
    d_variance = d_variance - inverse**3 * scale * d_inverse_scale / 2
    through_statistics = d_mean / count + centred * (2 * d_variance / count)
    if mask is not None:
        through_statistics = jnp.where(_weights(x, mask), through_statistics, 0)
    d_x = d_y * (inverse * scale) + through_statistics
    d_scale = (inverse * d_inverse_scale).astype(scale.dtype)
    return d_x.astype(x.dtype), d_scale, d_bias.astype(scale.dtype), None


batch_norm.defvjp(_forward, _backward)


def _weights(x: jax.Array, mask: jax.Array | None) -> jax.Array:
    """Returns which examples count, in a shape that broadcasts to `x`."""
    return (jnp.ones(x.shape[0], bool) if mask is None else mask).reshape(-1, *[1] * (x.ndim - 1))


def _sums(*terms: jax.Array) -> jax.Array:
    """Returns `[terms, channels]`, the sums of each over batch and pixels, in one reduction over the devices."""
    shards = batch_sharding.num_shards()
    shards = shards if terms[0].shape[0] % shards == 0 else 1
    by_shard = [term.reshape(shards, -1, term.shape[-1]).sum(1) for term in terms]
    return jnp.stack(by_shard).sum(1)
