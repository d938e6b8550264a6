"""Winograd's minimal filtering: a convolution of stride 1 in fewer multiplications, tile by tile.

The output is cut into tiles of `m x m` pixels, each of which depends on an input tile of `m + r - 1` pixels a side for
a kernel of `r x r`. Transforms of additions turn the tile's convolution into `(m + r - 1)^2` products instead of
`(m r)^2`: 16 instead of 36 for 2x2 tiles and a 3x3 kernel. Over all tiles and channels each of these products is one
matrix product. The result is that of the convolution up to rounding (Lavin & Gray 2016, "Fast Algorithms for
Convolutional Neural Networks", sections 3 and 4; the matrices are Toom and Cook's).

Here a *grid* is a nested list `grid[row][column]` of equally shaped arrays, one for each pixel of a tile. Transformed
tiles are one array `[places, batch * tiles, channels]`, so that their products are a single batched one.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from fmnist_jax.ops import patches
from fmnist_jax.ops.fence import fenced
from fmnist_jax.ops.patches import Pair

Grid = list[list[jax.Array]]
Matrix = tuple[tuple[float, ...], ...]

# Small and balanced, so that the transforms round little; infinity is a further point.
_POINTS = (*map(Fraction, (0, 1, -1, 2, -2)), Fraction(1, 2), Fraction(-1, 2))
# Of an input tile; as many points as there are allow.
_LARGEST_TILE = len(_POINTS) + 1
# Of an input tile whose transform has so few terms that both axes are best done in one go.
_SMALL_TILE = 5
# Of the matrix product of a place. Fewer are slower; with more, transformed tiles leave the cache.
_ROWS = 200


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

    def kernel(self, kernel: jax.Array) -> Kernel:
        """Transforms `[*taps, in, out]`."""
        transformed = jnp.einsum("ka,lb,ab...->kl...", *self._of_taps(kernel.dtype), kernel)
        plain = transformed.reshape(-1, *kernel.shape[2:])
        return Kernel(plain, plain.swapaxes(1, 2))

    def kernel_gradient(self, cotangent: jax.Array) -> jax.Array:
        """The transpose of `kernel`, for the cotangent of what is `plain`."""
        places = cotangent.reshape(*self.size, *cotangent.shape[1:])
        return jnp.einsum("ka,lb,kl...->ab...", *self._of_taps(cotangent.dtype), places)

    def inputs(self, x: jax.Array) -> jax.Array:
        """Transforms the tiles of `x[batch, *covered, in]` to `[places, batch * tiles, in]`."""
        above, beside = map(_transposed, self._of(2))
        (height, width), (m, n), (rows, columns) = self.size, self.tile, self.count

        def down(x: jax.Array) -> list[jax.Array]:
            lines = [patches.strided(x, (i, 0), (rows, x.shape[2]), (m, 1)) for i in range(height)]
            return [_weighted(weights, lines) for weights in above]

        def across(lines: list[jax.Array]) -> jax.Array:
            pixels = [[patches.strided(line, (0, j), (rows, columns), (1, n)) for j in range(width)] for line in lines]
            return _stacked(_across(pixels, beside))

        return self._in_turn(down, across, x)

    def input_gradient(self, places: jax.Array) -> jax.Array:
        """The transpose of `inputs`: adds up, where tiles overlap, to `[batch, *covered, in]`."""
        above, beside = self._of(2)
        # Where there is but one tile, all of its pixels are phases of their own.
        steps = [m if n > 1 else whole for m, n, whole in zip(self.tile, self.count, self.size, strict=True)]

        def down(places: jax.Array) -> Grid:
            return [_overlapped(column, above, steps[0], axis=1) for column in zip(*self._grid(places), strict=True)]

        def across(columns: Grid) -> Grid:
            return [_overlapped(row, beside, steps[1], axis=2) for row in zip(*columns, strict=True)]

        # Else each of the sums would be computed anew for every pixel that it reaches.
        phases = fenced(across, fenced(down, places))
        return patches.fitted(patches.interleave(phases), self.covered)

    def outputs(self, places: jax.Array) -> Grid:
        """Transforms products `[places, batch * tiles, out]` to a grid of the tiles' pixels `[batch, *count, out]`."""
        above, beside = map(_transposed, self._of(0))
        return self._in_turn(
            lambda places: _down(self._grid(places), above), lambda rows: _across(rows, beside), places
        )

    def output_gradient(self, pixels: Grid) -> jax.Array:
        """The transpose of `outputs`."""
        above, beside = self._of(0)
        return self._in_turn(lambda pixels: _down(pixels, above), lambda rows: _stacked(_across(rows, beside)), pixels)

    def _in_turn(self, down: Callable[..., Any], across: Callable[..., Any], x: Any) -> Any:
        return across(down(x)) if max(self.size) <= _SMALL_TILE else fenced(across, fenced(down, x))

    def _grid(self, places: jax.Array) -> Grid:
        """Returns a grid of `[batch, *count, channels]`."""
        whole = places.reshape(*self.size, -1, *self.count, places.shape[-1])
        return [[whole[i, j] for j in range(self.size[1])] for i in range(self.size[0])]

    def _of(self, which: int) -> list[Matrix]:
        return [matrices(m, r)[which] for m, r in zip(self.tile, self.taps, strict=True)]

    def _of_taps(self, dtype: jnp.dtype) -> list[np.ndarray]:
        return [np.asarray(matrix, dtype) for matrix in self._of(1)]


def forward(tiling: Tiling, x: jax.Array, kernel: Kernel) -> Grid:
    """Convolves `x[batch, *covered, in]`; returns a grid of the tiles' pixels `[batch, *count, out]`."""
    return tiling.outputs(_products(tiling.inputs(x), kernel.plain))


def backward(tiling: Tiling, x: jax.Array, kernel: Kernel, pixels: Grid) -> tuple[jax.Array, jax.Array]:
    """Returns the cotangents of `x` and of the plain transformed kernel for those of the tiles' pixels."""
    cotangent = tiling.output_gradient(pixels)
    d_kernel = lax.dot_general(tiling.inputs(x), cotangent, (((1,), (1,)), ((0,), (0,))))
    return tiling.input_gradient(_products(cotangent, kernel.turned)), d_kernel


def _products(rows: jax.Array, kernel: jax.Array) -> jax.Array:
    """Multiplies, for each place, `rows[places, n, from]` with `kernel[places, from, to]`."""
    return lax.dot_general(rows, kernel, (((2,), (1,)), ((0,), (0,))))


def _down(grid: Grid, matrix: Matrix) -> Grid:
    """Multiplies the grid by a matrix from the left."""
    return [[_weighted(weights, column) for column in zip(*grid, strict=True)] for weights in matrix]


def _across(grid: Grid, matrix: Matrix) -> Grid:
    """Multiplies the grid by the transpose of a matrix from the right."""
    return [[_weighted(weights, row) for weights in matrix] for row in grid]


def _stacked(grid: Grid) -> jax.Array:
    """Stacks a grid of `[batch, *count, channels]` as `[places, batch * tiles, channels]`, each computed in place."""
    rows = [leaf.reshape(-1, leaf.shape[-1]) for row in grid for leaf in row]
    whole = jnp.zeros((len(rows), *rows[0].shape), rows[0].dtype)
    for place, leaf in enumerate(rows):
        whole = _with(place, whole, leaf)
    return whole


def _with(place: int, whole: jax.Array, part: jax.Array) -> jax.Array:
    """Returns `whole[places, ...]` with `part[...]` at a place."""

    @jax.custom_batching.custom_vmap
    def updated(whole: jax.Array, part: jax.Array) -> jax.Array:
        return lax.dynamic_update_slice(whole, part[None], (place, *(0 for _ in part.shape)))

    # JAX's own rule makes a scatter of it, which XLA does not compute in place.
    @updated.def_vmap
    def rule(size: int, batched: list[bool], whole: jax.Array, part: jax.Array) -> tuple[jax.Array, bool]:
        pairs = zip((whole, part), batched, strict=True)
        every = [x if each else jnp.broadcast_to(x, (size, *x.shape)) for x, each in pairs]
        return _with(place, every[0].swapaxes(0, 1), every[1]).swapaxes(0, 1), True

    result: jax.Array = updated(whole, part)
    return result


def _overlapped(terms: Sequence[jax.Array], matrix: Matrix, step: int, axis: int) -> list[jax.Array]:
    """Transforms tiles along an axis and adds them up where they overlap, a tile beginning every `step` pixels.

    Returns `step` phases, each as long as there are tiles and as many more as the last tile reaches.
    """
    pixels = [_weighted(weights, terms) for weights in matrix]
    beyond = -(-len(pixels) // step) - 1

    def shifted(at: int) -> jax.Array:
        margins = [(0, 0, 0)] * pixels[at].ndim
        margins[axis] = (at // step, beyond - at // step, 0)
        return lax.pad(pixels[at], jnp.zeros((), pixels[at].dtype), margins)

    return [functools.reduce(jnp.add, map(shifted, range(at, len(pixels), step))) for at in range(step)]


def _weighted(weights: Sequence[float], terms: Sequence[jax.Array]) -> jax.Array:
    """Adds up terms; many weights are 0, 1 or -1, which cost no product."""
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
