"""Linear transforms of the tiles of images along both axes: the forward transform and its transpose."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from fmnist_jax.ops.chunks import no_fusion
from fmnist_jax.ops.patches import Pair


def forward_transform(x: jax.Array, matrices: Sequence[np.ndarray], strides: Pair, count: Pair) -> jax.Array:
    """Transforms the tiles of `x[batch, height, width, channels]` to `[coefficients, batch * tiles, channels]`.

    **Arguments:**

    - `matrices`: `[coefficients, pixels]` of each axis.
    - `strides`: pixels from one tile to the next; `count`: number of tiles; both down and across.
    """
    vertical, horizontal = matrices

    def transform_columns(x: jax.Array) -> jax.Array:
        rows = [_strided(x, i, strides[0], count[0], axis=1) for i in range(vertical.shape[1])]
        return _linear_combinations(vertical, rows, axis=2)

    def transform_rows(x: jax.Array) -> jax.Array:
        x = jnp.moveaxis(x, 2, 0)  # [coefficients, batch, tiles, width, channels]
        columns = [_strided(x, j, strides[1], count[1], axis=3) for j in range(horizontal.shape[1])]
        return _linear_combinations(horizontal, columns, axis=1)

    coefficients = no_fusion(transform_rows, no_fusion(transform_columns, x))
    return coefficients.reshape(len(vertical) * len(horizontal), -1, x.shape[-1])


def inverse_transform(coefficients: jax.Array, matrices: Sequence[np.ndarray], strides: Pair, count: Pair) -> jax.Array:
    """Transforms `[coefficients, batch * tiles, channels]` to tiles and adds up where they overlap.

    **Arguments:**

    - `matrices`: `[pixels, coefficients]` of each axis.
    - `strides`, `count`: as in `forward_transform`, whose transpose this is for transposed matrices.

    **Returns:** `[batch, height, width, channels]`, each side a multiple of its stride.
    """
    vertical, horizontal = matrices
    shape = (vertical.shape[1], horizontal.shape[1], -1, *count, coefficients.shape[-1])
    rows = _overlap_add(vertical, coefficients.reshape(shape), strides[0])  # [coefficients, batch, height, tiles, ...]
    return _overlap_add(horizontal, rows, strides[1])


def multiplications(coefficients: Pair, pixels: Pair, count: Pair, size: Pair) -> int:
    """Returns the number of multiplications of `forward_transform` for one channel of an image of `size` pixels.

    With each pair reversed, that of `inverse_transform`, whose result has `size` pixels.
    """
    lines = count[0] * coefficients[0]
    return lines * (pixels[0] * size[1] + count[1] * coefficients[1] * pixels[1])


def _overlap_add(matrix: np.ndarray, x: jax.Array, stride: int) -> jax.Array:
    """Transforms the tiles along an axis, one every `stride` pixels, and adds up where they overlap.

    **Arguments:**

    - `matrix`: `[pixels, coefficients]`; `x`: `[coefficients, A, B, tiles, ...]`.

    **Returns:** `[A, B, pixels, ...]`, padded to a multiple of `stride`.
    """
    count = x.shape[3]
    blocks_per_tile = -(-len(matrix) // stride)
    padded = np.concatenate([matrix, np.zeros((blocks_per_tile * stride - len(matrix), matrix.shape[1]))])

    def offsets(block: int) -> list[int]:
        """Returns how many blocks of `stride` pixels earlier the tiles begin that cover this block."""
        return [offset for offset in range(blocks_per_tile) if 0 <= block - offset < count]

    def run(offsets: Sequence[int], blocks: Sequence[int]) -> jax.Array:
        """Computes successive blocks that are covered by tiles at the same offsets."""
        first, last = blocks[0], blocks[-1]
        weights = np.hstack([padded[offset * stride : (offset + 1) * stride] for offset in offsets])

        def add(x: jax.Array) -> jax.Array:
            tiles = [lax.slice_in_dim(x, first - offset, last - offset + 1, axis=3) for offset in offsets]
            return _linear_combinations(weights, [term for terms in tiles for term in terms], axis=3)

        return no_fusion(add, x)

    # One run for each set of offsets: padding with zeros where no tile reaches would take longer than all the rest.
    blocks = range(count + blocks_per_tile - 1)
    runs = [run(key, list(group)) for key, group in itertools.groupby(blocks, offsets)]
    pixels = jnp.concatenate(runs, axis=2)
    return pixels.reshape(*pixels.shape[:2], -1, *pixels.shape[4:])


def _strided(x: jax.Array, start: int, stride: int, count: int, axis: int) -> jax.Array:
    """Returns `count` entries along an axis from `start` on, `stride` apart."""
    return lax.slice_in_dim(x, start, start + stride * (count - 1) + 1, stride, axis)


def _linear_combinations(weights: np.ndarray, terms: Sequence[jax.Array], axis: int) -> jax.Array:
    """Sums `terms` with each row of `weights[rows, terms]`, the sums stacked along a new axis.

    They form one elementwise computation: each term is read for all rows while it is in the fastest cache.
    """
    shape = [1] * (terms[0].ndim + 1)
    shape[axis] = len(weights)
    columns = weights.T.astype(jnp.result_type(terms[0].dtype, jnp.float32))
    products = [c.reshape(shape) * jnp.expand_dims(term, axis) for c, term in zip(columns, terms, strict=True)]
    # Two short sums round a little less than a long one.
    halves = [functools.reduce(jnp.add, half) for half in (products[::2], products[1::2]) if half]
    return functools.reduce(jnp.add, halves)
