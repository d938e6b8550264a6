"""Working through a batch in chunks whose patches stay in a core's cache.

The patches of a convolution take many times the memory of its input. Made for the whole batch they travel to main
memory and back, which takes longer than the arithmetic; made for a few examples at a time they never leave the cache.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

# Half of the second-level cache of today's server cores: patches share it with the operands of the matrix product.
_BUDGET_BYTES = 2**20


def size(batch: int, bytes_each: int) -> int:
    """Returns how many of `batch` examples to take at a time where the patches of each take `bytes_each`."""
    most = max(1, _BUDGET_BYTES // max(1, bytes_each))
    chunks = -(-batch // most)
    return -(-batch // chunks)


def split(x: jax.Array, chunk: int) -> jax.Array:
    """Turns `[batch, ...]` into `[chunks, chunk, ...]`, the last chunk filled up with zeros."""
    missing = -x.shape[0] % chunk
    padded = jnp.pad(x, ((0, missing), *((0, 0) for _ in x.shape[1:]))) if missing else x
    return padded.reshape(-1, chunk, *x.shape[1:])


def merge(x: jax.Array, batch: int) -> jax.Array:
    """Turns `[chunks, chunk, ...]` into `[batch, ...]`, the inverse of `split`."""
    return x.reshape(-1, *x.shape[2:])[:batch]
