"""Working through a batch in chunks whose intermediate results stay in a core's cache.

The patches of a convolution take many times the memory of its input. Made for the whole batch they travel to main
memory and back, which takes longer than the arithmetic; made for a few examples at a time they never leave the cache.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

# Half of the second-level cache of today's server cores: patches share it with the operands of the matrix product.
_BUDGET_BYTES = 2**20


def most(bytes_each: int) -> int:
    """Returns how many examples fit into the cache at a time, where the intermediate results of each take so much."""
    return max(1, _BUDGET_BYTES // max(1, bytes_each))


def size(batch: int, most: int) -> int:
    """Returns how many of `batch` examples to take at a time, `most` at most."""
    most = min(batch, most)
    even = [chunk for chunk in range(1, most + 1) if batch % chunk == 0]
    if even and even[-1] > most // 2:
        return even[-1]  # filling up the last chunk would copy the whole batch
    return -(-batch // -(-batch // most))


def mapped(
    function: Callable[..., Any], chunk: int, *batched: Any, axis: int = 0, out_axis: int = 0, over: Any = None
) -> Any:
    """Returns `function(*batched)` of pytrees of arrays, worked out a chunk of examples at a time.

    **Arguments:**

    - `axis`, `out_axis`: along which the examples are, in each array of the arguments and of the result.
    - `over`: arrays of the result's shapes and dtypes that nothing needs any more, to be written over where there are
      several chunks. New memory would be zeroed first.
    """
    batch = _batch(batched, axis)
    if chunk >= batch:
        return function(*batched)

    def of(start: jax.Array | int) -> Any:
        return function(*jax.tree.map(lambda x: lax.dynamic_slice_in_dim(x, start, chunk, axis), batched))

    def work(number: jax.Array, whole: Any) -> Any:
        # The last chunk begins so early that it is full, too: its first examples are worked out twice.
        start = jnp.minimum(number * chunk, batch - chunk)
        return jax.tree.map(lambda x, part: lax.dynamic_update_slice_in_dim(x, part, start, out_axis), whole, of(start))

    def room(part: jax.ShapeDtypeStruct) -> jax.Array:
        return jnp.zeros((*part.shape[:out_axis], batch, *part.shape[out_axis + 1 :]), part.dtype)

    if over is None:
        over = jax.tree.map(room, jax.eval_shape(lambda: of(0)))
    return lax.fori_loop(0, -(-batch // chunk), work, over)


def summed(function: Callable[..., tuple[Any, Any]], chunk: int, *batched: Any) -> tuple[Any, Any]:
    """As `mapped` along first axes, for a function that returns besides a pytree of sums over its examples, added up.

    What a function adds up for examples of nothing but zeros, with which the last chunk is filled, has to be zero.
    """
    batch = _batch(batched, axis=0)
    if chunk >= batch:
        return function(*batched)
    parts = jax.tree.map(lambda x: _split(x, chunk), batched)
    _, shapes = jax.eval_shape(function, *jax.tree.map(lambda x: x[0], parts))

    def add(sums: Any, part: tuple[Any, ...]) -> tuple[Any, Any]:
        out, more = function(*part)
        return jax.tree.map(jnp.add, sums, more), out

    sums, out = lax.scan(add, jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes), parts)
    return jax.tree.map(lambda leaf: _merge(leaf, batch), out), sums


def _batch(batched: tuple[Any, ...], axis: int) -> int:
    return int(jax.tree.leaves(batched)[0].shape[axis])


def _split(x: jax.Array, chunk: int) -> jax.Array:
    """Turns `[batch, ...]` into `[chunks, chunk, ...]`, the last chunk filled up with zeros."""
    missing = -x.shape[0] % chunk
    padded = jnp.pad(x, ((0, missing), *((0, 0) for _ in x.shape[1:]))) if missing else x
    return padded.reshape(-1, chunk, *x.shape[1:])


def _merge(x: jax.Array, batch: int) -> jax.Array:
    """Turns `[chunks, chunk, ...]` into `[batch, ...]`, the inverse of `_split`."""
    return x.reshape(-1, *x.shape[2:])[:batch]
