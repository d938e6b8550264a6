"""Convolution, bias, ReLU and 2x2 max-pooling as one operation.

Only the convolution outputs that survive the pooling are computed, as four phases, one for each place in the 2x2
window; their maximum is taken at once. The batch is worked through in chunks, so that neither what the phases are made
of nor the unpooled map are ever written to memory.
"""

from __future__ import annotations

import functools
from typing import Any

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
    winograd = ByWinograd(Tiling.of(tuple(2 * n for n in pooled), kernel.shape[:2], multiple=2))
    phases = winograd if chosen == "winograd" else ByPatches(strides, pooled)
    return spread.over_batch(lambda *arrays: _by_phases(*arrays, phases, pooled), (padded,), (kernel, bias))


def max_pool(x: jax.Array) -> jax.Array:
    """Takes the maximum of each 2x2 window of `x[batch, height, width, channels]`; odd edges are dropped."""
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")


@functools.partial(jax.custom_vjp, nondiff_argnums=(3, 4))
def _by_phases(x: jax.Array, kernel: jax.Array, bias: jax.Array, phases: Phases, pooled: Pair) -> jax.Array:
    return _forward(x, kernel, bias, phases, pooled)[0]


# The input, the kernel, the number of the place that each window took its maximum from (in groups), the output.
_Residuals = tuple[jax.Array, jax.Array, list[list[jax.Array]], jax.Array]


def _forward(
    x: jax.Array, kernel: jax.Array, bias: jax.Array, phases: Phases, pooled: Pair
) -> tuple[jax.Array, _Residuals]:
    prepared = phases.prepare(kernel)

    def forward(x: jax.Array) -> tuple[list[list[jax.Array]], list[list[jax.Array]]]:
        maxima = [[_first_maximum(four) for four in row] for row in phases.forward(x, prepared)]
        outputs = [[jax.nn.relu(largest + bias) for largest, _ in row] for row in maxima]
        return outputs, [[winner for _, winner in row] for row in maxima]

    outputs, winners = chunks.mapped(forward, chunks.size(x.shape[0], phases.most(prepared)), phases.fit(x))
    y = patches.fitted(patches.interleave(outputs), pooled)
    return y, (x, kernel, winners, y)


def _backward(
    phases: Phases, pooled: Pair, residuals: _Residuals, cotangent: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    x, kernel, winners, y = residuals
    prepared, size = phases.prepare(kernel), x.shape[1:3]
    cotangent = jnp.where(y > 0, cotangent, 0)
    whole = tuple(m * n for m, n in zip(phases.group, winners[0][0].shape[1:3], strict=True))
    groups = patches.phases(patches.fitted(cotangent, whole), phases.group)

    def backward(x: jax.Array, winners: Any, groups: Any) -> tuple[jax.Array, jax.Array]:
        windows = [list(map(_to_winner, *rows)) for rows in zip(winners, groups, strict=True)]
        return phases.backward(x, prepared, windows)

    chunk = chunks.size(x.shape[0], phases.most(prepared))
    d_x, d_prepared = chunks.summed(backward, chunk, phases.fit(x), winners, groups)
    return patches.fitted(d_x, size), phases.restore(d_prepared), cotangent.sum((0, 1, 2))


def _to_winner(winner: jax.Array, cotangent: jax.Array) -> list[jax.Array]:
    return [jnp.where(winner == place, cotangent, 0) for place in range(4)]


def _first_maximum(phases: list[jax.Array]) -> tuple[jax.Array, jax.Array]:
    largest, winner = phases[0], jnp.zeros(phases[0].shape, jnp.int8)
    for number, phase in enumerate(phases[1:], start=1):
        greater = phase > largest
        largest = jnp.where(greater, phase, largest)
        winner = jnp.where(greater, jnp.int8(number), winner)
    return largest, winner


_by_phases.defvjp(_forward, _backward)
