"""Sharding a batch over the devices of the mesh in context, also where the compiler cannot do it by itself.

The mesh is that of `jax.set_mesh` or, within a program, of `jax.sharding.use_abstract_mesh`. Without one that has an
`AxisType.Auto` axis named `AXIS`, the functions here change nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import jax
from jax import lax
from jax.sharding import AxisType, PartitionSpec

AXIS = "batch"

_Tree = TypeVar("_Tree")


def num_shards() -> int:
    """Returns how many shards a batch has here; 1 without a mesh."""
    mesh = jax.sharding.get_abstract_mesh()
    types = dict(zip(mesh.axis_names, mesh.axis_types, strict=True))
    # Inside `shard_map` the axis is manual: a shard is not sharded again.
    return int(mesh.shape[AXIS]) if types.get(AXIS) == AxisType.Auto else 1


def shard_batch(batched: _Tree) -> _Tree:
    """Shards a tree's arrays `[batch, ...]` along their first axis."""
    if num_shards() == 1:
        return batched
    return lax.with_sharding_constraint(batched, PartitionSpec(AXIS))


def shard_map_batch(function: Callable[..., Any], batched: tuple[Any, ...], shared: tuple[Any, ...] = ()) -> Any:
    """Returns `function(*batched, *shared)`, computed by each device on its own shard of the batch.

    For loops over the batch, which the compiler does not shard. Gradients with respect to the shared arguments are
    summed over the devices.

    **Arguments:**

    - `function`: maps arrays `[batch, ...]` and shared ones to one or more arrays `[batch, ...]`, example by example.
    - `batched`: arrays of one batch size. If the devices do not divide it, the batch is not sharded.
    - `shared`: arrays that every device gets whole.
    """
    leaves = jax.tree.leaves(batched)
    if num_shards() == 1 or any(leaf.shape[0] % num_shards() for leaf in leaves):
        return function(*batched, *shared)
    sharded, replicated = PartitionSpec(AXIS), PartitionSpec()
    specs = tuple(sharded for _ in batched) + tuple(replicated for _ in shared)
    # No check of varying types: the loops start from zeros, which do not vary over devices.
    return jax.shard_map(function, in_specs=specs, out_specs=sharded, axis_names={AXIS}, check_vma=False)(
        *batched, *shared
    )
