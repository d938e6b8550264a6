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


def mapped(function: Callable[..., Any], chunk: int, *batched: Any) -> Any:
    """Returns `function(*batched)`, pytrees of arrays with the examples first, worked out a chunk at a time."""
    batch = _batch(batched)
    if chunk >= batch:
        return function(*batched)
    out = lax.map(lambda parts: function(*parts), jax.tree.map(lambda x: _split(x, chunk), batched))
    return jax.tree.map(lambda leaf: _merge(leaf, batch), out)


def summed(function: Callable[..., tuple[Any, Any]], chunk: int, *batched: Any) -> tuple[Any, Any]:
    """As `mapped`, for a function that returns besides a pytree of sums over its examples, which are added up.

    What a function adds up for examples of nothing but zeros, with which the last chunk is filled, has to be zero.
    """
    batch = _batch(batched)
    if chunk >= batch:
        return function(*batched)
    parts = jax.tree.map(lambda x: _split(x, chunk), batched)
    _, shapes = jax.eval_shape(function, *jax.tree.map(lambda x: x[0], parts))

    def add(sums: Any, part: tuple[Any, ...]) -> tuple[Any, Any]:
        out, more = function(*part)
        return jax.tree.map(jnp.add, sums, more), out

    sums, out = lax.scan(add, jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes), parts)
    return jax.tree.map(lambda leaf: _merge(leaf, batch), out), sums


def _batch(batched: tuple[Any, ...]) -> int:
    return int(jax.tree.leaves(batched)[0].shape[0])


def _split(x: jax.Array, chunk: int) -> jax.Array:
    """Turns `[batch, ...]` into `[chunks, chunk, ...]`, the last chunk filled up with zeros."""
    missing = -x.shape[0] % chunk
    padded = jnp.pad(x, ((0, missing), *((0, 0) for _ in x.shape[1:]))) if missing else x
    return padded.reshape(-1, chunk, *x.shape[1:])


def _merge(x: jax.Array, batch: int) -> jax.Array:
    """Turns `[chunks, chunk, ...]` into `[batch, ...]`, the inverse of `_split`."""
    return x.reshape(-1, *x.shape[2:])[:batch]
