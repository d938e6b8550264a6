"""Linear maps of the tiles of images: the pixels of each to places of its transform, and back.

A map is one of the rows and one of the columns, each a matrix, worked through one after the other.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from fmnist_jax.ops.fence import fenced
from fmnist_jax.ops.patches import Pair


def taken_apart(x: jax.Array, weights: Sequence[np.ndarray], steps: Pair, count: Pair) -> jax.Array:
    """Transforms the tiles of `x[batch, height, width, channels]` to `[places, batch * tiles, channels]`.

    **Arguments:**

    - `weights`: `[places, pixels]` of each axis; `steps`: pixels from one tile to the next; `count`: how many tiles.
    """
    above, beside = weights

    def down(x: jax.Array) -> jax.Array:
        rows = [_every(x, i, steps[0], count[0], axis=1) for i in range(above.shape[1])]
        return _mixed(above, rows, axis=2)

    def across(lines: jax.Array) -> jax.Array:
        lines = jnp.moveaxis(lines, 2, 0)  # [places, batch, tiles, width, channels]
        columns = [_every(lines, j, steps[1], count[1], axis=3) for j in range(beside.shape[1])]
        return _mixed(beside, columns, axis=1)

    return fenced(across, fenced(down, x)).reshape(len(above) * len(beside), -1, x.shape[-1])


def put_together(places: jax.Array, weights: Sequence[np.ndarray], steps: Pair, count: Pair) -> jax.Array:
    """Transforms `[places, batch * tiles, channels]` to the tiles of an image, added up where they overlap.

    **Arguments:**

    - `weights`: `[pixels, places]` of each axis; `steps`, `count`: as of `taken_apart`, whose transpose this is.

    **Returns:** `[batch, height, width, channels]`, each side a multiple of its step.
    """
    above, beside = weights
    whole = places.reshape(above.shape[1], beside.shape[1], -1, *count, places.shape[-1])
    rows = _overlapped(above, whole, steps[0])  # [places, batch, height, tiles, channels]
    return _overlapped(beside, rows, steps[1])


def multiplications(places: Pair, pixels: Pair, count: Pair, size: Pair) -> int:
    """Returns how many `taken_apart` takes for one channel of an image of some size.

    With each pair the other way round, how many `put_together` takes, whose image is of that size.
    """
    lines = count[0] * places[0]
    return lines * (pixels[0] * size[1] + count[1] * places[1] * pixels[1])


def _overlapped(weights: np.ndarray, places: jax.Array, step: int) -> jax.Array:
    """Transforms the tiles along an axis, one beginning every `step` pixels, and adds them up where they overlap.

    **Arguments:**

    - `weights`: `[pixels, places]`; `places`: `[places, A, B, tiles, ...]`.

    **Returns:** `[A, B, pixels, ...]`, a multiple of `step` of them.
    """
    count = places.shape[3]
    most = -(-len(weights) // step)
    filled = np.concatenate([weights, np.zeros((most * step - len(weights), weights.shape[1]))])

    def tiles(block: int) -> list[int]:
        """Returns how many blocks of `step` pixels before this one those tiles begin that reach it."""
        return [before for before in range(most) if 0 <= block - before < count]

    def run(befores: Sequence[int], blocks: Sequence[int]) -> jax.Array:
        """Works out successive blocks that are reached alike."""
        first, last = blocks[0], blocks[-1]
        parts = np.hstack([filled[before * step : (before + 1) * step] for before in befores])

        def added_up(places: jax.Array) -> jax.Array:
            taken = [lax.slice_in_dim(places, first - before, last - before + 1, axis=3) for before in befores]
            return _mixed(parts, [term for terms in taken for term in terms], axis=3)

        return fenced(added_up, places)

    # To fill up with zeros what no tile reaches would take longer than all the rest.
    runs = [run(befores, list(blocks)) for befores, blocks in itertools.groupby(range(count + most - 1), tiles)]
    pixels = jnp.concatenate(runs, axis=2)
    return pixels.reshape(*pixels.shape[:2], -1, *pixels.shape[4:])


def _every(x: jax.Array, start: int, step: int, count: int, axis: int) -> jax.Array:
    """Takes `count` entries along an axis, beginning at `start` and `step` apart."""
    return lax.slice_in_dim(x, start, start + step * (count - 1) + 1, step, axis)


def _mixed(weights: np.ndarray, terms: Sequence[jax.Array], axis: int) -> jax.Array:
    """Adds up `terms` by each row of `weights[rows, terms]`; the sums are stacked along a new axis.

    All of them are one elementwise computation: a term is read for every row while the fastest cache holds it.
    """
    shape = [1] * (terms[0].ndim + 1)
    shape[axis] = len(weights)
    columns = weights.T.astype(jnp.result_type(terms[0].dtype, jnp.float32))
    products = [c.reshape(shape) * jnp.expand_dims(term, axis) for c, term in zip(columns, terms, strict=True)]
    # Two short sums round a little less than a long one.
    halves = [functools.reduce(jnp.add, half) for half in (products[::2], products[1::2]) if half]
    return functools.reduce(jnp.add, halves)
