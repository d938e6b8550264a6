"""Convolution, bias, ReLU and 2x2 max-pooling as one operation.

The operation computes the convolution's outputs under each pooling window as four arrays, one per position in the
window, and takes their maximum at once. Outputs that the pooling drops are not computed, except to fill Winograd's
tiles. The batch goes through in chunks, so that neither the convolution's output nor the intermediate results leave the
cache, except the spectra of images.
"""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from fmnist_jax.config.schema import ConvAlgorithm
from fmnist_jax.ops.chunks import no_fusion
from fmnist_jax.ops.conv2d import conv2d
from fmnist_jax.ops.conv_algorithm import ConvPlan, Padding, make_plan
from fmnist_jax.ops.patches import Pair, crop_or_pad
from fmnist_jax.runtime import batch_sharding


def conv_relu_pool(
    x: jax.Array,
    kernel: jax.Array,
    bias: jax.Array,
    *,
    strides: Pair = (1, 1),
    padding: Padding = "VALID",
    algorithm: ConvAlgorithm = "auto",
) -> jax.Array:
    """Returns `max_pool_2x2(relu(conv2d(x, kernel) + bias))`; the pooling drops an odd last row or column.

    Where several positions of a window tie for the maximum, the gradient goes to the first in row-major order, as in
    XLA's own pooling. Winograd and FFT convolutions may round equal values differently.

    **Arguments:**

    - `x`: `[batch, height, width, in]`; `kernel`: `[kernel height, kernel width, in, out]`; `bias`: `[out]`.
    - `strides`, `padding`, `algorithm`: of the convolution, as in `conv2d`.

    **Returns:** `[batch, height', width', out]`.
    """
    plan, pooled = make_plan(x, kernel, strides, padding, algorithm, pool=2)
    if plan is None:
        return max_pool(jax.nn.relu(conv2d(x, kernel, strides=strides, padding=padding, algorithm="xla") + bias))
    return batch_sharding.shard_map_batch(lambda *arrays: _compiled(*arrays, plan, pooled), (x,), (kernel, bias))


def max_pool(x: jax.Array) -> jax.Array:
    """Returns the maximum of each 2x2 window of `x[batch, height, width, channels]`; odd edges are dropped."""
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")


def global_max_pool(x: jax.Array) -> jax.Array:
    """Returns the maximum of each channel of `x[batch, height, width, channels]`, `[batch, channels]`.

    The gradient goes to the first pixel that has it. That of `x.max` goes to all pixels that equal the maximum, and is
    not a number where none does because XLA computed `x` twice and rounded it differently.
    """
    pixels = x.reshape(x.shape[0], -1, x.shape[-1])
    first = jnp.arange(pixels.shape[1])[:, None] == lax.stop_gradient(pixels).argmax(1)[:, None]
    return jnp.where(first, pixels, 0).sum(1)


@functools.partial(jax.custom_vjp, nondiff_argnums=(3, 4))
def _conv_relu_pool(x: jax.Array, kernel: jax.Array, bias: jax.Array, plan: ConvPlan, pooled: Pair) -> jax.Array:
    return _forward(x, kernel, bias, plan, pooled)[0]


# The plan's, the position in each window of its maximum, and the output.
_Residuals = tuple[Any, jax.Array, jax.Array]


def _forward(
    x: jax.Array, kernel: jax.Array, bias: jax.Array, plan: ConvPlan, pooled: Pair
) -> tuple[jax.Array, _Residuals]:
    def epilogue(elements: list[jax.Array]) -> tuple[jax.Array, jax.Array]:
        largest, argmax = elements[0], jnp.zeros(elements[0].shape, jnp.int8)
        for position, element in enumerate(elements[1:], start=1):
            greater = element > largest
            largest = jnp.where(greater, element, largest)
            argmax = jnp.where(greater, jnp.int8(position), argmax)
        return crop_or_pad(jax.nn.relu(largest + bias), pooled), argmax

    (y, argmax), residuals = plan.forward(x, kernel, epilogue)
    return y, (residuals, argmax, y)


def _backward(
    plan: ConvPlan, pooled: Pair, residuals: _Residuals, cotangent: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    del pooled
    plan_residuals, argmax, y = residuals
    d_largest = jnp.where(y > 0, cotangent, 0)

    def prologue(argmax: jax.Array, d_largest: jax.Array) -> jax.Array:
        """Puts the cotangents at the position `argmax` of each window, zeros elsewhere."""
        # Padded first: XLA would not vectorise both in one.
        padded = no_fusion(lambda x: crop_or_pad(x, argmax.shape[1:3]), d_largest)
        positions = np.arange(4, dtype=argmax.dtype).reshape(2, 1, 2, 1)
        windows = jnp.where(argmax[:, :, None, :, None] == positions, padded[:, :, None, :, None], 0)
        batch, height, width, channels = argmax.shape
        return windows.reshape(batch, 2 * height, 2 * width, channels)

    d_x, d_kernel = plan.backward(plan_residuals, prologue, argmax, d_largest)
    return d_x, d_kernel, d_largest.sum((0, 1, 2))


_conv_relu_pool.defvjp(_forward, _backward)
# Without `jit`, each call outside of a compiled function would compile the `no_fusion` pieces again.
_compiled = jax.jit(_conv_relu_pool, static_argnums=(3, 4))
