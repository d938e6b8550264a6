"""Convolution, bias, ReLU and 2x2 max-pooling as one operation.

Only the convolution outputs that survive the pooling are computed, as four phases, one for each place in the 2x2
window; their maximum is taken at once. The batch is worked through in chunks, so that neither what the phases are made
of nor the unpooled map are ever written to memory.
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
from jax import lax

from fmnist_jax.ops import chunks, patches, spread
from fmnist_jax.ops.convolution import Padding, conv2d, pad
from fmnist_jax.ops.lowering import Lowering, choose
from fmnist_jax.ops.patches import Pair
from fmnist_jax.ops.phases import ByPatches, ByWinograd, Phases
from fmnist_jax.ops.winograd import Tiling


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
    in XLA's own pooling; Winograd's filtering may round equal values apart.

    **Arguments:**

    - `x`: `[batch, height, width, in]`; `kernel`: `[kernel height, kernel width, in, out]`; `bias`: `[out]`.
    - `strides`, `padding`: of the convolution, as of `conv2d`.

    **Returns:** `[batch, height', width', out]`.
    """
    padded, strides = pad(x, kernel, strides, padding), tuple(strides)
    pooled = tuple(n // 2 for n in patches.positions(padded, kernel, strides))
    chosen = choose(lowering, kernel, strides)
    if chosen == "xla" or 0 in pooled:
        return max_pool(jax.nn.relu(conv2d(x, kernel, strides=strides, padding=padding, lowering="xla") + bias))
    winograd = ByWinograd(Tiling((2, 2), kernel.shape[:2], pooled))
    phases = winograd if chosen == "winograd" else ByPatches(strides, pooled)
    return spread.over_batch(lambda *arrays: _by_phases(*arrays, phases), (padded,), (kernel, bias))


def max_pool(x: jax.Array) -> jax.Array:
    """Takes the maximum of each 2x2 window of `x[batch, height, width, channels]`; odd edges are dropped."""
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")


@functools.partial(jax.custom_vjp, nondiff_argnums=(3,))
def _by_phases(x: jax.Array, kernel: jax.Array, bias: jax.Array, phases: Phases) -> jax.Array:
    return _forward(x, kernel, bias, phases)[0]


_Residuals = tuple[jax.Array, jax.Array, jax.Array, jax.Array]


def _forward(x: jax.Array, kernel: jax.Array, bias: jax.Array, phases: Phases) -> tuple[jax.Array, _Residuals]:
    prepared = phases.prepare(kernel)

    def forward(x: jax.Array) -> tuple[jax.Array, jax.Array]:
        largest, winner = _first_maximum(phases.forward(x, prepared))
        return jax.nn.relu(largest + bias), winner

    y, winner = chunks.mapped(forward, chunks.size(x.shape[0], phases.bytes_each(prepared)), x)
    return y, (x, kernel, winner, y)


def _backward(phases: Phases, residuals: _Residuals, cotangent: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    x, kernel, winner, y = residuals
    prepared = phases.prepare(kernel)

    def backward(
        x: jax.Array, winner: jax.Array, y: jax.Array, cotangent: jax.Array
    ) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
        cotangent = jnp.where(y > 0, cotangent, 0)
        places = [jnp.where(winner == number, cotangent, 0) for number in range(4)]
        d_x, d_prepared = phases.backward(x, prepared, places)
        return d_x, (d_prepared, cotangent.sum((0, 1, 2)))

    chunk = chunks.size(x.shape[0], phases.bytes_each(prepared))
    d_x, (d_prepared, d_bias) = chunks.summed(backward, chunk, x, winner, y, cotangent)
    return d_x, phases.restore(d_prepared), d_bias


def _first_maximum(phases: list[jax.Array]) -> tuple[jax.Array, jax.Array]:
    largest, winner = phases[0], jnp.zeros(phases[0].shape, jnp.int8)
    for number, phase in enumerate(phases[1:], start=1):
        greater = phase > largest
        largest = jnp.where(greater, phase, largest)
        winner = jnp.where(greater, jnp.int8(number), winner)
    return largest, winner


_by_phases.defvjp(_forward, _backward)
