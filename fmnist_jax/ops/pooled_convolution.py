"""Convolution, bias, ReLU and 2x2 max-pooling as one operation.

Only the convolution outputs that survive the pooling are computed, as four strided matrix products, one for each place
in the 2x2 window; their maximum is taken at once, so the unpooled map is never written to memory.
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
from jax import lax

from fmnist_jax.ops import patches
from fmnist_jax.ops.convolution import Padding, conv2d, pad
from fmnist_jax.ops.lowering import Lowering, choose

_PHASES = ((0, 0), (0, 1), (1, 0), (1, 1))


def conv_relu_pool(
    x: jax.Array, kernel: jax.Array, bias: jax.Array, *, padding: Padding = "VALID", lowering: Lowering = "auto"
) -> jax.Array:
    """Returns `max_pool_2x2(relu(conv2d(x, kernel) + bias))`; an odd last row or column is dropped by the pooling.

    Where places of a window tie for the maximum, the gradient goes to the first of them in row-major order, as it does
    in XLA's own pooling.

    **Arguments:**

    - `x`: `[batch, height, width, in]`; `kernel`: `[kernel height, kernel width, in, out]`; `bias`: `[out]`.

    **Returns:** `[batch, height', width', out]`.
    """
    if choose(lowering) == "xla":
        return max_pool(jax.nn.relu(conv2d(x, kernel, padding=padding, lowering="xla") + bias))
    return _by_phases(pad(x, kernel, padding), kernel, bias)


def max_pool(x: jax.Array) -> jax.Array:
    """Takes the maximum of each 2x2 window of `x[batch, height, width, channels]`; odd edges are dropped."""
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")


@jax.custom_vjp
def _by_phases(x: jax.Array, kernel: jax.Array, bias: jax.Array) -> jax.Array:
    return _forward(x, kernel, bias)[0]


_Residuals = tuple[jax.Array, jax.Array, jax.Array, jax.Array]


def _forward(x: jax.Array, kernel: jax.Array, bias: jax.Array) -> tuple[jax.Array, _Residuals]:
    window, features = kernel.shape[:2], kernel.shape[-1]
    out = tuple((size - k + 1) // 2 for size, k in zip(x.shape[1:3], window, strict=True))
    matrix = kernel.reshape(-1, features)
    phases = [patches.extract(x, window, out, start, stride=2) @ matrix for start in _PHASES]
    largest, winner = _first_maximum(phases)
    y = jax.nn.relu(largest + bias)
    return y, (x, kernel, winner, y)


def _first_maximum(phases: list[jax.Array]) -> tuple[jax.Array, jax.Array]:
    largest, winner = phases[0], jnp.zeros(phases[0].shape, jnp.int8)
    for number, phase in enumerate(phases[1:], start=1):
        greater = phase > largest
        largest = jnp.where(greater, phase, largest)
        winner = jnp.where(greater, jnp.int8(number), winner)
    return largest, winner


def _backward(residuals: _Residuals, cotangent: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    x, kernel, winner, y = residuals
    cotangent = jnp.where(y > 0, cotangent, 0)
    phases = [jnp.where(winner == number, cotangent, 0) for number in range(len(_PHASES))]
    d_kernels = [
        patches.kernel_gradient(x, phase, kernel.shape[:2], start, stride=2)
        for start, phase in zip(_PHASES, phases, strict=True)
    ]
    d_x = patches.input_gradient(kernel, _interleave(phases))
    dropped = [(0, whole - used) for whole, used in zip(x.shape, d_x.shape, strict=True)]
    return jnp.pad(d_x, dropped), functools.reduce(jnp.add, d_kernels).reshape(kernel.shape), cotangent.sum((0, 1, 2))


def _interleave(phases: list[jax.Array]) -> jax.Array:
    """Puts four `[batch, h, w, c]` phases back into their places of a `[batch, 2h, 2w, c]` map."""
    batch, height, width, channels = phases[0].shape
    rows = [jnp.stack(pair, axis=3) for pair in (phases[:2], phases[2:])]
    return jnp.stack(rows, axis=2).reshape(batch, 2 * height, 2 * width, channels)


_by_phases.defvjp(_forward, _backward)
