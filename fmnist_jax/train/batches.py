"""Which examples stand in which batch: every example exactly once, the last batch padded and masked."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np


def shuffled(key: jax.Array, examples: int, batch_size: int) -> tuple[jax.Array, jax.Array]:
    """Returns `(indices int32[steps, batch], valid bool[steps, batch])`, the examples in random order."""
    return _batched(jax.random.permutation(key, examples), batch_size)


def in_order(examples: int, batch_size: int) -> tuple[jax.Array, jax.Array]:
    """Returns `(indices int32[steps, batch], valid bool[steps, batch])`, the examples as they are stored."""
    return _batched(jnp.arange(examples), batch_size)


def steps(examples: int, batch_size: int) -> int:
    """Returns how many batches the examples fill, the last perhaps in part."""
    return -(-examples // batch_size)


def _batched(order: jax.Array, batch_size: int) -> tuple[jax.Array, jax.Array]:
    examples = order.shape[0]
    shape = (steps(examples, batch_size), batch_size)
    # Padding repeats real examples, so that nothing computed from it can be infinite or undefined.
    padded = jnp.resize(order, shape)
    valid = np.arange(shape[0] * shape[1]).reshape(shape) < examples
    return padded.astype(jnp.int32), jnp.asarray(valid)
