"""Winograd convolution: a convolution of stride 1 in fewer multiplications, tile by tile.

The output is split into tiles of `m x m` pixels, each of which depends on an input tile of `m + r - 1` pixels a side
for a kernel of `r x r`. Transforms of additions turn the tile's convolution into `(m + r - 1)^2` products instead of
`(m r)^2`: 16 instead of 36 for 2x2 tiles and a 3x3 kernel. Over all tiles and channels each of these products is one
matrix product. The result is that of the convolution up to rounding (Lavin & Gray 2016, "Fast Algorithms for
Convolutional Neural Networks", sections 3 and 4; the matrices are Toom and Cook's).

The transformed tiles are one array `[coefficients, batch * tiles, channels]`: one batched matrix product for all.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from fmnist_jax.ops import chunks, patches, tiles
from fmnist_jax.ops.patches import Pair

# Interpolation points, small and balanced so that the transforms round little; infinity is a further point.
_POINTS = (*map(Fraction, (0, 1, -1, 2, -2)), Fraction(1, 2), Fraction(-1, 2))
# Side of an input tile, limited by the number of points.
_MAX_TILE = len(_POINTS) + 1
# Side of an input tile where that of the output is larger than the kernel; still larger ones round more.
_MAX_LARGER_TILE = 6
# Share of the products of smaller tiles, along an axis, up to which larger ones are faster.
_WORTH_LARGER_TILES = 7 / 8
# Rows of each coefficient's matrix product. Fewer are slower; with more, transformed tiles leave the cache.
_ROWS = 200


@functools.cache
def matrices(m: int, r: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns `(A, G, B)` for tiles of `m` outputs and `r` taps: `y = A^T ((G k) * (B^T x))` is `y[i] = k . x[i:i+r]`.

    Their shapes are `[m + r - 1, m]`, `[m + r - 1, r]` and `[m + r - 1, m + r - 1]`.
    """
    points = _POINTS[: m + r - 2]
    others = [[b for b in points if b != a] for a in points]
    scales = [math.prod((a - b for b in rest), start=Fraction(1)) for a, rest in zip(points, others, strict=True)]
    outputs = [[a**k for k in range(m)] for a in points] + [[0] * (m - 1) + [1]]
    taps = [[a**k / scale for k in range(r)] for a, scale in zip(points, scales, strict=True)] + [[0] * (r - 1) + [1]]
    inputs = [[*_polynomial(rest), 0] for rest in others] + [_polynomial(points)]
    return np.array(outputs, float), np.array(taps, float), np.array(inputs, float).T


def _polynomial(roots: Sequence[Fraction]) -> list[Fraction]:
    """Returns the coefficients of the product of all `x - root`, the constant first."""
    coefficients = [Fraction(1)]
    for root in roots:
        raised, scaled = [Fraction(0), *coefficients], [*coefficients, Fraction(0)]
        coefficients = [a - root * b for a, b in zip(raised, scaled, strict=True)]
    return coefficients


class TransformedKernel(NamedTuple):
    """`kernel[coefficients, in, out]` and its transpose `[coefficients, out, in]`, for the gradient of the input."""

    kernel: jax.Array
    transposed: jax.Array


@dataclasses.dataclass(frozen=True)
class WinogradPlan(chunks.ChunkedPlan):
    """How a convolution's output is split into tiles; each pair is of the vertical and the horizontal axis.

    **Attributes:**

    - `tile`: output pixels of a tile; `taps`: of the kernel; `count`: number of tiles.
    - `before`: zeros before the images; `pool`: side of the pooling windows, of which a tile holds whole ones, or 1.
    """

    tile: Pair
    taps: Pair
    count: Pair
    before: Pair
    pool: int

    @classmethod
    def of(cls, out: Pair, taps: Pair, before: Pair = (0, 0), pool: int = 1) -> WinogradPlan:
        """Returns the plan for `out` pixels, down and across, that takes the fewest products.

        Tiles have a multiple of `pool` pixels a side. They are no larger than the kernel or `pool`, but for the next
        size where it saves many products: the transforms of larger tiles cost more.
        """

        def side(n: int, r: int) -> int:
            def products(m: int) -> int:
                return -(-n // m) * (m + r - 1)

            largest = min(max(r, pool), _MAX_TILE - r + 1)
            best, larger = min(range(pool, largest + 1, pool), key=products), pool * (largest // pool + 1)
            worth = larger + r - 1 <= _MAX_LARGER_TILE and products(larger) <= _WORTH_LARGER_TILES * products(best)
            return larger if worth else best

        tile = tuple(map(side, out, taps))
        return cls(tile, taps, tuple(-(-n // m) for n, m in zip(out, tile, strict=True)), before, pool)

    @property
    def input_tile(self) -> Pair:
        """Pixels of an input tile."""
        return tuple(m + r - 1 for m, r in zip(self.tile, self.taps, strict=True))

    @property
    def out(self) -> Pair:
        """Output pixels of all tiles: those asked for or more."""
        return tuple(m * n for m, n in zip(self.tile, self.count, strict=True))

    @property
    def size(self) -> Pair:
        """Input pixels that the tiles cover."""
        return tuple(n + r - 1 for n, r in zip(self.out, self.taps, strict=True))

    @property
    def num_products(self) -> int:
        """Products per example, input channel and output channel."""
        return math.prod(self.input_tile) * math.prod(self.count)

    @property
    def kernel_coefficients(self) -> int:
        """Numbers of the transformed kernel per input and output channel."""
        return 2 * math.prod(self.input_tile)  # the kernel and its transpose

    def transform_multiplications(self, fan_in: int, fan_out: int) -> int:
        """Returns how many multiplications the transforms of one example take."""
        inputs = tiles.multiplications(self.input_tile, self.input_tile, self.count, self.size)
        outputs = tiles.multiplications(self.input_tile[::-1], self.tile[::-1], self.count[::-1], self.out[::-1])
        return fan_in * inputs + fan_out * outputs

    def transform_kernel(self, kernel: jax.Array) -> TransformedKernel:
        """Transforms `[*taps, in, out]`."""
        transformed = jnp.einsum("ka,lb,ab...->kl...", *self._matrices(1, kernel.dtype), kernel)
        flat = transformed.reshape(-1, *kernel.shape[2:])
        return TransformedKernel(flat, flat.swapaxes(1, 2))

    def kernel_gradient(self, cotangent: jax.Array) -> jax.Array:
        """The transpose of `transform_kernel`, for the cotangent of its `kernel`."""
        coefficients = cotangent.reshape(*self.input_tile, *cotangent.shape[1:])
        return jnp.einsum("ka,lb,kl...->ab...", *self._matrices(1, cotangent.dtype), coefficients)

    def transform_input(self, x: jax.Array) -> jax.Array:
        """Transforms the tiles of `x[batch, *size, in]` to `[coefficients, batch * tiles, in]`."""
        return tiles.forward_transform(x, [matrix.T for matrix in self._matrices(2)], self.tile, self.count)

    def input_gradient(self, coefficients: jax.Array) -> jax.Array:
        """The transpose of `transform_input`: overlapping tiles are added up to `[batch, *size, in]`."""
        # A single tile overlaps with none.
        strides = tuple(m if n > 1 else side for m, n, side in zip(self.tile, self.count, self.input_tile, strict=True))
        d_x = tiles.inverse_transform(coefficients, self._matrices(2), strides, self.count)
        return patches.crop_or_pad(d_x, self.size)

    def transform_output(self, coefficients: jax.Array) -> jax.Array:
        """Transforms products `[coefficients, batch * tiles, out]` to `[batch, *out, out]`."""
        return tiles.inverse_transform(coefficients, [m.T for m in self._matrices(0)], self.tile, self.count)

    def output_gradient(self, y: jax.Array) -> jax.Array:
        """The transpose of `transform_output`."""
        return tiles.forward_transform(y, self._matrices(0), self.tile, self.count)

    def max_chunk(self, kernel: TransformedKernel) -> int:
        """Returns how many examples have `_ROWS` tiles."""
        del kernel
        return max(1, _ROWS // math.prod(self.count))

    def forward_chunk(self, x: jax.Array, kernel: TransformedKernel) -> list[jax.Array]:
        """Returns the window elements for `x[batch, height, width, in]`."""
        coefficients = self.transform_input(patches.pad_to(x, self.before, self.size))
        return patches.window_elements(self.transform_output(_products(coefficients, kernel.kernel)), self.pool)

    def backward_chunk(
        self, x: jax.Array, kernel: TransformedKernel, cotangent: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        coefficients = self.output_gradient(cotangent)
        inputs = self.transform_input(patches.pad_to(x, self.before, self.size))
        d_kernel = lax.dot_general(inputs, coefficients, (((1,), (1,)), ((0,), (0,))))
        d_padded = self.input_gradient(_products(coefficients, kernel.transposed))
        return patches.pad_to(d_padded, tuple(-n for n in self.before), x.shape[1:3]), d_kernel

    def _matrices(self, which: int, dtype: jnp.dtype = jnp.float64) -> list[np.ndarray]:
        return [matrices(m, r)[which].astype(dtype) for m, r in zip(self.tile, self.taps, strict=True)]


def _products(rows: jax.Array, kernel: jax.Array) -> jax.Array:
    """Multiplies, for each coefficient, `rows[coefficients, n, from]` by `kernel[coefficients, from, to]`."""
    return lax.dot_general(rows, kernel, (((2,), (1,)), ((0,), (0,))))
