"""Convolution, bias, ReLU and 2x2 max-pooling as one operation.

Only the convolution outputs that survive the pooling are computed, as four strided matrix products, one for each place
in the 2x2 window; their maximum is taken at once. The batch is worked through in chunks, so that neither the patches
nor the unpooled map are ever written to memory.
"""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from fmnist_jax.ops import chunks, patches
from fmnist_jax.ops.convolution import Padding, conv2d, pad
from fmnist_jax.ops.lowering import Lowering, choose
from fmnist_jax.ops.patches import Pair

_PLACES = ((0, 0), (0, 1), (1, 0), (1, 1))


def conv_relu_pool(
    x: jax.Array,
    kernel: jax.Array,
    bias: jax.Array,
    *,
    strides: Pair = (1, 1),
    padding: Padding = "VALID",
    lowering: Lowering = "auto",
) -> jax.Array:
    """Returns `max_pool_2x2(relu(conv2d(x, kernel) + bias))`; an odd last row or column is dropped by the pooling.

    Where places of a window tie for the maximum, the gradient goes to the first of them in row-major order, as it does
    in XLA's own pooling.

    **Arguments:**

    - `x`: `[batch, height, width, in]`; `kernel`: `[kernel height, kernel width, in, out]`; `bias`: `[out]`.
    - `strides`, `padding`: of the convolution, as of `conv2d`.

    **Returns:** `[batch, height', width', out]`.
    """
    padded = pad(x, kernel, strides, padding)
    nothing_left = 0 in _pooled_size(padded, kernel, tuple(strides))
    if choose(lowering) == "xla" or nothing_left:
        return max_pool(jax.nn.relu(conv2d(x, kernel, strides=strides, padding=padding, lowering="xla") + bias))
    return _by_phases(padded, kernel, bias, tuple(strides))


def max_pool(x: jax.Array) -> jax.Array:
    """Takes the maximum of each 2x2 window of `x[batch, height, width, channels]`; odd edges are dropped."""
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")


@functools.partial(jax.custom_vjp, nondiff_argnums=(3,))
def _by_phases(x: jax.Array, kernel: jax.Array, bias: jax.Array, strides: Pair) -> jax.Array:
    return _forward(x, kernel, bias, strides)[0]


_Residuals = tuple[jax.Array, jax.Array, jax.Array, jax.Array]


def _forward(x: jax.Array, kernel: jax.Array, bias: jax.Array, strides: Pair) -> tuple[jax.Array, _Residuals]:
    def forward(x: jax.Array) -> tuple[jax.Array, jax.Array]:
        return _forward_chunk(x, kernel, bias, strides)

    y, winner = lax.map(forward, chunks.split(x, _chunk(x, kernel, strides)))
    return chunks.merge(y, x.shape[0]), (x, kernel, winner, y)


def _backward(strides: Pair, residuals: _Residuals, cotangent: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    x, kernel, winner, y = residuals
    chunk = _chunk(x, kernel, strides)

    def add(sums: tuple[jax.Array, jax.Array], parts: tuple[jax.Array, ...]) -> tuple[tuple[jax.Array, jax.Array], Any]:
        d_x, d_kernel, d_bias = _backward_chunk(kernel, strides, *parts)
        return (sums[0] + d_kernel, sums[1] + d_bias), d_x

    zeros = jnp.zeros_like(kernel), jnp.zeros_like(kernel, shape=kernel.shape[-1:])
    parts = chunks.split(x, chunk), winner, y, chunks.split(cotangent, chunk)
    (d_kernel, d_bias), d_x = lax.scan(add, zeros, parts)
    return chunks.merge(d_x, x.shape[0]), d_kernel, d_bias


def _chunk(x: jax.Array, kernel: jax.Array, strides: Pair) -> int:
    pooled = _pooled_size(x, kernel, strides)
    return chunks.size(x.shape[0], patches.bytes_each(kernel, (2 * pooled[0], 2 * pooled[1])))


def _pooled_size(x: jax.Array, kernel: jax.Array, strides: Pair) -> Pair:
    return tuple(n // 2 for n in patches.positions(x, kernel, strides))


def _phases(strides: Pair) -> tuple[list[Pair], Pair]:
    """Returns where the four phases start, and the strides within each."""
    starts = [tuple(place * stride for place, stride in zip(phase, strides, strict=True)) for phase in _PLACES]
    return starts, tuple(2 * stride for stride in strides)


def _forward_chunk(x: jax.Array, kernel: jax.Array, bias: jax.Array, strides: Pair) -> tuple[jax.Array, jax.Array]:
    out = _pooled_size(x, kernel, strides)
    matrix = kernel.reshape(-1, kernel.shape[-1])
    starts, apart = _phases(strides)
    phases = [patches.extract(x, kernel.shape[:2], out, start=start, strides=apart) @ matrix for start in starts]
    largest, winner = _first_maximum(phases)
    return jax.nn.relu(largest + bias), winner


def _backward_chunk(
    kernel: jax.Array, strides: Pair, x: jax.Array, winner: jax.Array, y: jax.Array, cotangent: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    cotangent = jnp.where(y > 0, cotangent, 0)
    phases = [jnp.where(winner == number, cotangent, 0) for number in range(len(_PLACES))]
    starts, apart = _phases(strides)
    d_kernels = [
        patches.kernel_gradient(x, phase, kernel.shape[:2], start=start, strides=apart)
        for start, phase in zip(starts, phases, strict=True)
    ]
    d_x = patches.input_gradient(kernel, _interleave(phases), x.shape[1:3], strides=strides)
    return d_x, functools.reduce(jnp.add, d_kernels).reshape(kernel.shape), cotangent.sum((0, 1, 2))


def _first_maximum(phases: list[jax.Array]) -> tuple[jax.Array, jax.Array]:
    largest, winner = phases[0], jnp.zeros(phases[0].shape, jnp.int8)
    for number, phase in enumerate(phases[1:], start=1):
        greater = phase > largest
        largest = jnp.where(greater, phase, largest)
        winner = jnp.where(greater, jnp.int8(number), winner)
    return largest, winner


def _interleave(phases: list[jax.Array]) -> jax.Array:
    """Puts four `[batch, h, w, c]` phases back into their places of a `[batch, 2h, 2w, c]` map."""
    batch, height, width, channels = phases[0].shape
    rows = [jnp.stack(pair, axis=3) for pair in (phases[:2], phases[2:])]
    return jnp.stack(rows, axis=2).reshape(batch, 2 * height, 2 * width, channels)


_by_phases.defvjp(_forward, _backward)
