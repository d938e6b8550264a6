"""Winograd's minimal filtering: a convolution of stride 1 in fewer multiplications, tile by tile.

The output is cut into tiles of `m x m` pixels, each of which depends on an input tile of `m + r - 1` pixels a side for
a kernel of `r x r`. Transforms of additions turn the tile's convolution into `(m + r - 1)^2` products instead of
`(m r)^2`: 16 instead of 36 for 2x2 tiles and a 3x3 kernel. Over all tiles and channels each of these products is one
matrix product. The result is that of the convolution up to rounding (Lavin & Gray 2016, "Fast Algorithms for
Convolutional Neural Networks", sections 3 and 4; the matrices are Toom and Cook's).

Here a *grid* is a nested list `grid[row][column]` of equally shaped arrays, one for each place in a tile.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from fmnist_jax.ops import patches
from fmnist_jax.ops.patches import Pair

Grid = list[list[jax.Array]]
Matrix = tuple[tuple[float, ...], ...]

# Small and balanced, so that the transforms round little; infinity is a further point.
_POINTS = (Fraction(0), Fraction(1), Fraction(-1), Fraction(2), Fraction(-2))
# Of an input tile. Larger ones save more products, but round more than float32 can bear.
LARGEST_TILE = len(_POINTS) + 1


@functools.cache
def matrices(m: int, r: int) -> tuple[Matrix, Matrix, Matrix]:
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


def _floats(rows: Iterable[Iterable[Fraction | int]]) -> Matrix:
    return tuple(tuple(float(value) for value in row) for row in rows)


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
    def of(cls, out: Pair, taps: Pair) -> Tiling:
        """Returns the tiling of `out` pixels, down and across, that takes the fewest products."""
        tile = tuple(
            min(range(1, LARGEST_TILE - r + 2), key=lambda m: -(-n // m) * (m + r - 1))
            for n, r in zip(out, taps, strict=True)
        )
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

    def kernel(self, kernel: jax.Array) -> jax.Array:
        """Transforms `[*taps, in, out]` to `[*size, in, out]`."""
        return jnp.einsum("ka,lb,ab...->kl...", *self._of_taps(kernel.dtype), kernel)

    def kernel_gradient(self, cotangent: jax.Array) -> jax.Array:
        """The transpose of `kernel`."""
        return jnp.einsum("ka,lb,kl...->ab...", *self._of_taps(cotangent.dtype), cotangent)

    def inputs(self, x: jax.Array) -> Grid:
        """Transforms the tiles of `x[batch, height, width, in]` to a grid of `[batch * tiles, in]`."""
        channels = x.shape[-1]
        height, width = self.size
        grid = [[patches.strided(x, (i, j), self.count, self.tile) for j in range(width)] for i in range(height)]
        return _each(lambda leaf: leaf.reshape(-1, channels), _transformed(grid, *map(_transposed, self._of(2))))

    def input_gradient(self, grid: Grid, size: Pair) -> jax.Array:
        """The transpose of `inputs`: adds up, where tiles overlap, to `[batch, *size, in]`."""
        tiles = _each(lambda leaf: leaf.reshape(-1, *self.count, leaf.shape[-1]), grid)
        # Where there is but one tile, all of its pixels are phases of their own.
        steps = [m if n > 1 else whole for m, n, whole in zip(self.tile, self.count, self.size, strict=True)]
        above, beside = self._of(2)
        down = [_overlapped(column, above, steps[0], axis=1) for column in zip(*tiles, strict=True)]
        # Fused with what follows, each of these sums would be computed anew for every pixel that it reaches.
        down = lax.optimization_barrier(down)
        phases = [_overlapped(row, beside, steps[1], axis=2) for row in zip(*down, strict=True)]
        return patches.fitted(patches.interleave(phases), size)

    def outputs(self, grid: Grid) -> Grid:
        """Transforms products, each `[batch * tiles, out]`, to a grid of the tiles' pixels `[batch, *count, out]`."""
        pixels = _transformed(grid, *map(_transposed, self._of(0)))
        return _each(lambda leaf: leaf.reshape(-1, *self.count, leaf.shape[-1]), pixels)

    def output_gradient(self, pixels: Grid) -> Grid:
        """The transpose of `outputs`."""
        return _transformed(_each(lambda leaf: leaf.reshape(-1, leaf.shape[-1]), pixels), *self._of(0))

    def bytes_each(self, kernel: jax.Array) -> int:
        """Returns the memory that an example's transformed tiles take, for the transformed `kernel`."""
        return self.count[0] * self.count[1] * kernel[..., 0].size * kernel.dtype.itemsize

    def _of(self, which: int) -> list[Matrix]:
        return [matrices(m, r)[which] for m, r in zip(self.tile, self.taps, strict=True)]

    def _of_taps(self, dtype: jnp.dtype) -> list[np.ndarray]:
        return [np.asarray(matrix, dtype) for matrix in self._of(1)]


def products(inputs: Grid, kernel: jax.Array) -> Grid:
    """Multiplies each place's `[rows, in]` with its `kernel[*size, in, out]`."""
    return [[leaf @ kernel[i, j] for j, leaf in enumerate(row)] for i, row in enumerate(inputs)]


def gradients(tiling: Tiling, x: jax.Array, kernel: jax.Array, pixels: Grid) -> tuple[jax.Array, jax.Array]:
    """Returns the cotangents of `x` and of the transformed `kernel` for those of the tiles' pixels."""
    cotangents = tiling.output_gradient(pixels)
    d_kernel = [
        jnp.stack([lax.dot_general(a, c, (((0,), (0,)), ((), ()))) for a, c in zip(*rows, strict=True)])
        for rows in zip(tiling.inputs(x), cotangents, strict=True)
    ]
    d_inputs = [[c @ kernel[i, j].T for j, c in enumerate(row)] for i, row in enumerate(cotangents)]
    return tiling.input_gradient(d_inputs, x.shape[1:3]), jnp.stack(d_kernel)


def _transformed(grid: Grid, rows: Matrix, columns: Matrix) -> Grid:
    """Returns the grid multiplied by `rows` from the left and by the transpose of `columns` from the right."""
    down = [[_weighted(weights, column) for column in zip(*grid, strict=True)] for weights in rows]
    return [[_weighted(weights, row) for weights in columns] for row in down]


def _overlapped(terms: Sequence[jax.Array], matrix: Matrix, step: int, axis: int) -> list[jax.Array]:
    """Transforms tiles along an axis and adds them up where they overlap, a tile beginning every `step` pixels.

    Returns `step` phases, each as long as there are tiles and as many more as the last tile reaches.
    """
    pixels = [_weighted(weights, terms) for weights in matrix]
    beyond = -(-len(pixels) // step) - 1

    def shifted(at: int) -> jax.Array:
        margins = [(0, 0)] * pixels[at].ndim
        margins[axis] = (at // step, beyond - at // step)
        return jnp.pad(pixels[at], margins)

    return [functools.reduce(jnp.add, map(shifted, range(at, len(pixels), step))) for at in range(step)]


def _weighted(weights: Sequence[float], terms: Sequence[jax.Array]) -> jax.Array:
    """Adds up terms; most weights are 0, 1 or -1, which cost no product."""
    scaled = [term if abs(w) == 1 else abs(w) * term for w, term in zip(weights, terms, strict=True)]
    parts = [(weight < 0, term) for weight, term in zip(weights, scaled, strict=True) if weight]
    if not parts:
        return jnp.zeros_like(terms[0])
    parts.sort(key=lambda part: part[0])  # a positive one first, where there is one: no negation
    negative, result = parts[0]
    result = -result if negative else result
    for negative, term in parts[1:]:
        result = result - term if negative else result + term
    return result


def _transposed(matrix: Matrix) -> Matrix:
    return tuple(zip(*matrix, strict=True))


def _each(function: Callable[[jax.Array], jax.Array], grid: Grid) -> Grid:
    return [[function(leaf) for leaf in row] for row in grid]
