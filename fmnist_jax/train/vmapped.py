"""Members as one program: `jit(vmap(epoch))`, the axis of members sharded over devices."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from fmnist_jax.data import Dataset
from fmnist_jax.data.device import DeviceSplit
from fmnist_jax.train.executor import Executor, MemberBatch, PendingMetrics
from fmnist_jax.train.metrics import MetricSums
from fmnist_jax.train.programs import Programs
from fmnist_jax.train.run import Member, Run

_AXIS = "member"


class VmapExecutor(Executor):
    """Trains all members of a chunk in step. Each device has the whole data, and no need to hear of the others."""

    def __init__(self, run: Run, dataset: Dataset, devices: Sequence[jax.Device], budget: int):
        mesh = Mesh(np.asarray(devices), (_AXIS,))
        of_members, everywhere = (NamedSharding(mesh, PartitionSpec(*axes)) for axes in ((_AXIS,), ()))
        super().__init__(_over_members(run, mesh), dataset, of_members, everywhere, budget)

    def size(self, member: Member, members: int, max_concurrent: int) -> int:
        """Returns the size for the fewest chunks whose program fits, which is found by compiling it."""
        one = self._padded_size(member, 1)
        chunks = max(-(-members // (max_concurrent or members)), -(-members // self._fitting(self._state_bytes(one))))
        while True:
            size = -(-members // chunks)
            fitting = self._fitting(self._bytes_each(self._padded_size(member, size)))
            if size <= fitting:
                return size
            chunks = max(chunks + 1, -(-members // fitting))

    def begin(self, members: Sequence[Member], padded_size: int) -> MemberBatch:
        shape = self._padded_size(members[0], padded_size)
        # The places left are filled with the first member, again and again; nobody will ask for its counts there.
        filled = [*members, *[members[0]] * (shape.seed.size - len(members))]
        stacked = jax.tree.map(lambda shape, *leaves: np.asarray(leaves, shape.dtype), shape, *filled)
        return _Stack(self._programs(shape), self._data, jax.device_put(stacked, self._of_members), len(members))

    def _padded_size(self, member: Member, padded_size: int) -> Member:
        """The shape of so many members like `member`, and more where the devices could not share them evenly."""
        shape = (-(-padded_size // self._devices) * self._devices,)
        return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(shape, leaf.dtype), member)


class _Stack(MemberBatch):
    """Members and their states, stacked along the first axis of every array."""

    def __init__(self, programs: Programs, data: Mapping[str, DeviceSplit], members: Member, number: int):
        super().__init__(programs, data)
        self._members, self._number = members, number
        self._state = jax.block_until_ready(programs.init()(members))

    def train(self, alive: Collection[int]) -> PendingMetrics:
        del alive  # the others go along, as numbers that are not finite
        train = self._data["train"]
        self._state, counts = self._programs.epoch(train)(self._state, self._members, train)
        return _Counts(counts, self._number)

    def evaluate(self, split: str, alive: Collection[int]) -> PendingMetrics:
        del alive
        data = self._data[split]
        return _Counts(self._programs.evaluate(data)(self._state, data), self._number)

    def close(self) -> None:
        """What has begun cannot be stopped."""


class _Counts:
    """Metrics of the first `number` members of a stack."""

    def __init__(self, counts: MetricSums, number: int):
        self._counts, self._number = counts, number

    def is_ready(self) -> bool:
        return all(leaf.is_ready() for leaf in jax.tree.leaves(self._counts))

    def counts(self) -> dict[int, MetricSums]:
        counts = jax.device_get(self._counts)
        return {place: MetricSums(*(leaf[place] for leaf in counts)) for place in range(self._number)}


def _over_members(run: Run, mesh: Mesh) -> Run:
    """Maps the functions of a run over the first axis of members, states and counts, a part of it on each device."""

    def mapped(function: Callable[..., Any], *axes: int | None) -> Callable[..., Any]:
        specs = tuple(PartitionSpec() if axis is None else PartitionSpec(_AXIS) for axis in axes)
        # Not left to the compiler's own partitioning: the convolutions of many members are one grouped convolution,
        # in which it would not see that members have nothing to do with each other.
        return jax.shard_map(
            jax.vmap(function, in_axes=axes),
            mesh=mesh,
            in_specs=specs,
            out_specs=PartitionSpec(_AXIS),
            check_vma=False,
        )

    return dataclasses.replace(
        run, init=mapped(run.init, 0), epoch=mapped(run.epoch, 0, 0, None), evaluate=mapped(run.evaluate, 0, None)
    )
