"""The initialisers of the frameworks that the reference results come from."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx


class Initializers(NamedTuple):
    """How the kernels and the biases of a model start: functions of a key, a shape and a dtype."""

    kernel: nnx.Initializer
    bias: nnx.Initializer


def _tensorflow_truncated_normal(key: jax.Array, shape: tuple[int, ...], dtype: jnp.dtype = jnp.float32) -> jax.Array:
    """Draws 0.05 * N(0, 1) cut at two standard deviations, the deviation not corrected for the cut, as TensorFlow."""
    return 0.05 * jax.random.truncated_normal(key, -2.0, 2.0, shape, dtype)


# Keras's defaults: kernels U(-a, a) with a = sqrt(6 / (fan_in + fan_out)) (Glorot & Bengio 2010, eq. 16), biases zero.
KERAS = Initializers(nnx.initializers.glorot_uniform(), nnx.initializers.zeros_init())

# DeepOBS (Schneider et al. 2019): TensorFlow's `truncated_normal_initializer(stddev=0.05)`, biases 0.05.
DEEPOBS = Initializers(_tensorflow_truncated_normal, nnx.initializers.constant(0.05))
