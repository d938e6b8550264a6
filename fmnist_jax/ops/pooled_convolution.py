"""Convolution, bias, ReLU and 2x2 max-pooling as one operation.

Only the convolution outputs that survive the pooling are computed (and what fills up Winograd's tiles), as four phases,
one for each place in the 2x2 window; their maximum is taken at once. The batch is worked through in chunks, so that
the unpooled map never leaves the cache, nor what the phases are made of, but for the spectra of images.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from fmnist_jax.ops import patches
from fmnist_jax.ops.convolution import Padding, conv2d, frame
from fmnist_jax.ops.fence import fenced
from fmnist_jax.ops.filters import ByPatches, ByWinograd
from fmnist_jax.ops.fourier import Spectrum
from fmnist_jax.ops.lowering import ConvAlgorithm, choose
from fmnist_jax.ops.patches import Pair
from fmnist_jax.ops.phases import ByFourier, Filtered, Phases
from fmnist_jax.ops.winograd import Tiling
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
    """Returns `max_pool_2x2(relu(conv2d(x, kernel) + bias))`; an odd last row or column is dropped by the pooling.

    Where places of a window tie for the maximum, the gradient goes to the first of them in row-major order, as it does
    in XLA's own pooling; transforms, Winograd's or Fourier's, may round equal values apart.

    **Arguments:**

    - `x`: `[batch, height, width, in]`; `kernel`: `[kernel height, kernel width, in, out]`; `bias`: `[out]`.
    - `strides`, `padding`: of the convolution, as of `conv2d`.

    **Returns:** `[batch, height', width', out]`.
    """
    strides, (at, size) = tuple(strides), frame(x, kernel, strides, padding)
    pooled = tuple(n // 2 for n in patches.positions(size, kernel, strides))
    out, taps = tuple(2 * n for n in pooled), kernel.shape[:2]
    spectrum = Spectrum(x.shape[1:3], at, taps, out)
    chosen = choose(algorithm, kernel, strides, spectrum, x.shape[0] // batch_sharding.num_shards(), multiple=2)
    if chosen == "xla" or 0 in (*x.shape, *kernel.shape, *pooled):
        return max_pool(jax.nn.relu(conv2d(x, kernel, strides=strides, padding=padding, algorithm="xla") + bias))
    if chosen == "fourier":
        phases: Phases = ByFourier(spectrum)
    elif chosen == "winograd":
        phases = Filtered(ByWinograd(Tiling.of(out, taps, multiple=2)), at)
    else:
        phases = Filtered(ByPatches(size, strides, pooled), at)
    return batch_sharding.shard_map_batch(
        lambda *arrays: _compiled(*arrays, _Layer(phases, pooled)), (x,), (kernel, bias)
    )


def max_pool(x: jax.Array) -> jax.Array:
    """Takes the maximum of each 2x2 window of `x[batch, height, width, channels]`; odd edges are dropped."""
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")


class _Layer(NamedTuple):
    """How an operation is worked out: its phases, and the size of the result."""

    phases: Phases
    pooled: Pair


@functools.partial(jax.custom_vjp, nondiff_argnums=(3,))
def _by_phases(x: jax.Array, kernel: jax.Array, bias: jax.Array, layer: _Layer) -> jax.Array:
    return _forward(x, kernel, bias, layer)[0]


# Of the phases, the number of the place that each window took its maximum from, the output.
_Residuals = tuple[Any, jax.Array, jax.Array]


def _forward(x: jax.Array, kernel: jax.Array, bias: jax.Array, layer: _Layer) -> tuple[jax.Array, _Residuals]:
    def finish(phases: list[jax.Array]) -> tuple[jax.Array, jax.Array]:
        largest, winner = _first_maximum(phases)
        return patches.fitted(jax.nn.relu(largest + bias), layer.pooled), winner

    (y, winner), residuals = layer.phases.forward(x, kernel, finish)
    return y, (residuals, winner, y)


def _backward(layer: _Layer, residuals: _Residuals, cotangent: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    of_phases, winner, y = residuals
    d_largest = jnp.where(y > 0, cotangent, 0)

    def begin(winner: jax.Array, d_largest: jax.Array) -> jax.Array:
        # Filled up first: XLA would not vectorise both in one.
        return _unpooled(winner, fenced(lambda x: patches.fitted(x, layer.phases.windows), d_largest))

    d_x, d_kernel = layer.phases.backward(of_phases, begin, winner, d_largest)
    return d_x, d_kernel, d_largest.sum((0, 1, 2))


def _first_maximum(phases: list[jax.Array]) -> tuple[jax.Array, jax.Array]:
    largest, winner = phases[0], jnp.zeros(phases[0].shape, jnp.int8)
    for number, phase in enumerate(phases[1:], start=1):
        greater = phase > largest
        largest = jnp.where(greater, phase, largest)
        winner = jnp.where(greater, jnp.int8(number), winner)
    return largest, winner


def _unpooled(winner: jax.Array, cotangent: jax.Array) -> jax.Array:
    """Puts `cotangent[batch, height, width, channels]` where `winner` says in its window, zeros elsewhere."""
    batch, height, width, channels = cotangent.shape
    places = np.arange(4, dtype=winner.dtype).reshape(2, 1, 2, 1)
    windows = jnp.where(winner[:, :, None, :, None] == places, cotangent[:, :, None, :, None], 0)
    return windows.reshape(batch, 2 * height, 2 * width, channels)


_by_phases.defvjp(_forward, _backward)
# Else each call outside of a compiled function would compile its fenced pieces anew.
_compiled = jax.jit(_by_phases, static_argnums=3)
