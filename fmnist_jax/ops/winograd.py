"""Winograd's minimal filtering: a convolution of stride 1 in fewer multiplications, tile by tile.

The output is cut into tiles of `m x m` pixels, each of which depends on an input tile of `m + r - 1` pixels a side for
a kernel of `r x r`. Transforms of additions turn the tile's convolution into `(m + r - 1)^2` products instead of
`(m r)^2`: 16 instead of 36 for 2x2 tiles and a 3x3 kernel. Over all tiles and channels each of these products is one
matrix product. The result is that of the convolution up to rounding (Lavin & Gray 2016, "Fast Algorithms for
Convolutional Neural Networks", sections 3 and 4; the matrices are Toom and Cook's).

Transformed tiles are one array `[places, batch * tiles, channels]`, so that their products are a single batched one.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from fmnist_jax.ops import patches, tiles
from fmnist_jax.ops.patches import Pair

# Small and balanced, so that the transforms round little; infinity is a further point.
_POINTS = (*map(Fraction, (0, 1, -1, 2, -2)), Fraction(1, 2), Fraction(-1, 2))
# Of an input tile; as many points as there are allow.
_LARGEST_TILE = len(_POINTS) + 1
# Of the matrix product of a place. Fewer are slower; with more, transformed tiles leave the cache.
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
    return _floats(outputs), _floats(taps), _floats(zip(*inputs, strict=True))


def _polynomial(roots: Sequence[Fraction]) -> list[Fraction]:
    """Returns the coefficients of the product of all `x - root`, the constant first."""
    coefficients = [Fraction(1)]
    for root in roots:
        raised, scaled = [Fraction(0), *coefficients], [*coefficients, Fraction(0)]
        coefficients = [a - root * b for a, b in zip(raised, scaled, strict=True)]
    return coefficients


def _floats(rows: Iterable[Iterable[Fraction | int]]) -> np.ndarray:
    return np.array([[float(value) for value in row] for row in rows])


class Kernel(NamedTuple):
    """A transformed kernel, `plain[places, in, out]` and `turned[places, out, in]`, for the gradient of the inputs."""

    plain: jax.Array
    turned: jax.Array


@dataclasses.dataclass(frozen=True)
class Tiling:
    """How the output of a convolution is cut into tiles; each pair is of the vertical and the horizontal axis.

    **Attributes:**

    - `tile`: output pixels of a tile; `taps`: of the kernel; `count`: how many tiles there are.
    """

    tile: Pair
    taps: Pair
    count: Pair

    @classmethod
    def of(cls, out: Pair, taps: Pair, multiple: int = 1) -> Tiling:
        """Returns the tiling of `out` pixels, down and across, that takes the fewest products.

        Tiles have a multiple of `multiple` pixels a side. They are no larger than the kernel, or than `multiple`: the
        transforms of larger ones cost more than the products that they save.
        """

        def side(n: int, r: int) -> int:
            most = min(max(r, multiple), _LARGEST_TILE - r + 1)
            return min(range(multiple, most + 1, multiple), key=lambda m: -(-n // m) * (m + r - 1))

        tile = tuple(map(side, out, taps))
        return cls(tile, taps, tuple(-(-n // m) for n, m in zip(out, tile, strict=True)))

    @property
    def size(self) -> Pair:
        """Pixels of an input tile."""
        return tuple(m + r - 1 for m, r in zip(self.tile, self.taps, strict=True))

    @property
    def whole(self) -> Pair:
        """Output pixels that the tiles have together."""
        return tuple(m * n for m, n in zip(self.tile, self.count, strict=True))

    @property
    def covered(self) -> Pair:
        """Input pixels that the tiles cover."""
        return tuple(n + r - 1 for n, r in zip(self.whole, self.taps, strict=True))

    @property
    def most(self) -> int:
        """How many examples to take at a time, at most."""
        return max(1, _ROWS // math.prod(self.count))

    @property
    def products(self) -> int:
        """Of a number of an input channel with one of the kernel, for one example."""
        return math.prod(self.size) * math.prod(self.count)

    def transforms(self, fan_in: int, fan_out: int) -> int:
        """Returns how many multiplications the transforms of one example take."""
        inputs = tiles.multiplications(self.size, self.size, self.count, self.covered)
        outputs = tiles.multiplications(self.size[::-1], self.tile[::-1], self.count[::-1], self.whole[::-1])
        return fan_in * inputs + fan_out * outputs

    @property
    def kernel_numbers(self) -> int:
        """Of the transformed kernel, for an input and an output channel."""
        return 2 * math.prod(self.size)  # plain and turned

    def kernel(self, kernel: jax.Array) -> Kernel:
        """Transforms `[*taps, in, out]`."""
        transformed = jnp.einsum("ka,lb,ab...->kl...", *self._taps(kernel.dtype), kernel)
        plain = transformed.reshape(-1, *kernel.shape[2:])
        return Kernel(plain, plain.swapaxes(1, 2))

    def kernel_gradient(self, cotangent: jax.Array) -> jax.Array:
        """The transpose of `kernel`, for the cotangent of what is `plain`."""
        places = cotangent.reshape(*self.size, *cotangent.shape[1:])
        return jnp.einsum("ka,lb,kl...->ab...", *self._taps(cotangent.dtype), places)

    def inputs(self, x: jax.Array) -> jax.Array:
        """Transforms the tiles of `x[batch, *covered, in]` to `[places, batch * tiles, in]`."""
        return tiles.taken_apart(x, [matrix.T for matrix in self._of(2)], self.tile, self.count)

    def input_gradient(self, places: jax.Array) -> jax.Array:
        """The transpose of `inputs`: adds up, where tiles overlap, to `[batch, *covered, in]`."""
        # Where there is but one tile, nothing overlaps.
        steps = tuple(m if n > 1 else whole for m, n, whole in zip(self.tile, self.count, self.size, strict=True))
        return patches.fitted(tiles.put_together(places, self._of(2), steps, self.count), self.covered)

    def outputs(self, places: jax.Array) -> jax.Array:
        """Transforms products `[places, batch * tiles, out]` to `[batch, *whole, out]`."""
        return tiles.put_together(places, [matrix.T for matrix in self._of(0)], self.tile, self.count)

    def output_gradient(self, y: jax.Array) -> jax.Array:
        """The transpose of `outputs`."""
        return tiles.taken_apart(y, self._of(0), self.tile, self.count)

    def _taps(self, dtype: jnp.dtype) -> list[np.ndarray]:
        return [matrix.astype(dtype) for matrix in self._of(1)]

    def _of(self, which: int) -> list[np.ndarray]:
        return [matrices(m, r)[which] for m, r in zip(self.tile, self.taps, strict=True)]


def forward(tiling: Tiling, x: jax.Array, kernel: Kernel) -> jax.Array:
    """Convolves `x[batch, *covered, in]` to `[batch, *whole, out]`."""
    return tiling.outputs(_products(tiling.inputs(x), kernel.plain))


def backward(tiling: Tiling, x: jax.Array, kernel: Kernel, cotangent: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Returns the cotangents of `x` and of the plain transformed kernel for that of the result."""
    places = tiling.output_gradient(cotangent)
    d_kernel = lax.dot_general(tiling.inputs(x), places, (((1,), (1,)), ((0,), (0,))))
    return tiling.input_gradient(_products(places, kernel.turned)), d_kernel


def _products(rows: jax.Array, kernel: jax.Array) -> jax.Array:
    """Multiplies, for each place, `rows[places, n, from]` with `kernel[places, from, to]`."""
    return lax.dot_general(rows, kernel, (((2,), (1,)), ((0,), (0,))))
