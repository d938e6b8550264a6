"""The matrix product of a dense layer, with a faster gradient of the kernel; devices share a large kernel."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.sharding import PartitionSpec

from fmnist_jax.runtime import batch_sharding


def dot_general(lhs: jax.Array, rhs: jax.Array, dimension_numbers: Any, **options: Any) -> jax.Array:
    """Stands in for `lax.dot_general`, as in `nnx.Linear(..., dot_general=dot_general)`.

    JAX's own gradient for the kernel of `x @ kernel` is a transposed product. XLA transposes it back within the
    optimizer's update, reading across its rows, which takes longer than the product for a large kernel.

    If a batch is sharded over devices (`fmnist_jax.runtime.batch_sharding`), so is a kernel that has more numbers than
    the devices then have to exchange, provided that the devices divide it.
    """
    contracting, batched = dimension_numbers
    plain = lhs.ndim == rhs.ndim == 2 and lhs.dtype == rhs.dtype and not any(options.values())
    if plain and tuple(map(tuple, contracting)) == ((1,), (0,)) and not any(batched):
        return _sharded_product(lhs, rhs) if _worth_sharding(lhs, rhs) else _product(lhs, rhs)
    product: jax.Array = lax.dot_general(lhs, rhs, dimension_numbers, **options)
    return product


def _worth_sharding(x: jax.Array, kernel: jax.Array) -> bool:
    """Whether the kernel has more numbers than the devices exchange when it is sharded."""
    shards = batch_sharding.num_shards()
    even = x.shape[0] % shards == 0 and kernel.shape[0] % shards == 0
    # Below float32, the devices' partial sums would be rounded before they are added.
    exact = x.dtype in (jnp.float32, jnp.float64)
    return shards > 1 and even and exact and kernel.size > 2 * x.shape[0] * sum(kernel.shape)


def _sharded_product(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Each device multiplies the whole batch by its rows of the kernel (Shoeybi et al. 2019, "Megatron-LM", sec. 3).

    So a large kernel's gradient is not summed over devices, and each device updates its own rows: the compiler shards
    the optimizer's moments like the kernel.
    """

    def product(x: jax.Array, rows: jax.Array) -> jax.Array:
        columns = lax.all_to_all(x, batch_sharding.AXIS, split_axis=1, concat_axis=0, tiled=True)
        return lax.psum_scatter(_product(columns, rows), batch_sharding.AXIS, tiled=True)

    rows = PartitionSpec(batch_sharding.AXIS)
    return jax.shard_map(
        product, in_specs=(rows, rows), out_specs=rows, axis_names={batch_sharding.AXIS}, check_vma=False
    )(x, kernel)


@jax.custom_vjp
def _product(x: jax.Array, kernel: jax.Array) -> jax.Array:
    return x @ kernel


def _backward(residuals: tuple[jax.Array, jax.Array], cotangent: jax.Array) -> tuple[jax.Array, jax.Array]:
    x, kernel = residuals
    return cotangent @ kernel.T, lax.dot_general(x, cotangent, (((0,), (0,)), ((), ())))


_product.defvjp(lambda x, kernel: (x @ kernel, (x, kernel)), _backward)
