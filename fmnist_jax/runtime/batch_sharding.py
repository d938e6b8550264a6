"""A batch spread over devices: what the compiler cannot split by itself is split here, by the mesh in context.

That is `jax.set_mesh`'s, or `jax.sharding.use_abstract_mesh`'s within a program, where it has an axis named `AXIS`
that is left to the compiler. Without one, everything here does nothing.
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
    """Returns into how many parts a batch is spread here; 1 where it is not."""
    mesh = jax.sharding.get_abstract_mesh()
    types = dict(zip(mesh.axis_names, mesh.axis_types, strict=True))
    # Within a part, where the axis is no longer the compiler's, there is nothing left to spread.
    return int(mesh.shape[AXIS]) if types.get(AXIS) == AxisType.Auto else 1


def shard_batch(batched: _Tree) -> _Tree:
    """Has the arrays `[batch, ...]` of a tree spread along their first axis."""
    if num_shards() == 1:
        return batched
    return lax.with_sharding_constraint(batched, PartitionSpec(AXIS))


def shard_map_batch(function: Callable[..., Any], batched: tuple[Any, ...], shared: tuple[Any, ...] = ()) -> Any:
    """Returns `function(*batched, *shared)`, each device working on its own part of the batch.

    For loops over the batch, which the compiler would not split. Gradients with respect to the shared arguments are
    summed over the devices.

    **Arguments:**

    - `function`: of arrays `[batch, ...]` and shared ones, to one array or more `[batch, ...]`, example by example.
    - `batched`: arrays of one batch size. Where the devices cannot share it evenly, it is not spread.
    """
    leaves = jax.tree.leaves(batched)
    if num_shards() == 1 or any(leaf.shape[0] % num_shards() for leaf in leaves):
        return function(*batched, *shared)
    spread, everywhere = PartitionSpec(AXIS), PartitionSpec()
    specs = tuple(spread for _ in batched) + tuple(everywhere for _ in shared)
    # Types that vary over devices are not checked: loops begin from zeros that do not, as they are written.
    return jax.shard_map(function, in_specs=specs, out_specs=spread, axis_names={AXIS}, check_vma=False)(
        *batched, *shared
    )
