"""One program over all devices: a single run with its batch sharded, or many members, sharded themselves."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Sequence
from typing import Any

import jax
import numpy as np
from jax import lax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from ml_collections import ConfigDict

from fmnist_jax.data import FASHION_MNIST, Dataset, Description, Split, device
from fmnist_jax.data.device import DeviceDataset, DeviceSplit, on_device
from fmnist_jax.runtime import batch_sharding, processes
from fmnist_jax.train.batches import MetricSums
from fmnist_jax.train.executor import Executor, MemberBatch, Pending, PendingMetrics, Programs, with_sharding
from fmnist_jax.train.network import Member, TrainState
from fmnist_jax.train.run import Run, make_run, member_of
from fmnist_jax.train.weights import Weights

_MEMBERS = "member"


class DataParallelRun:
    """The run of a config over `train_examples` images of such data, each batch sharded over `devices`.

    **Arguments:**

    - `weights`: as of `make_run`.

    **Attributes:**

    - `run`: its functions, for arrays on these devices.
    - `sharding`: of its arrays: replicated.
    - `member`: the config's, on the devices.
    - `template`: the shapes of its state, on the devices.
    - `programs`: its compiled functions.

    **Raises:** `ConfigError` as `make_run` and `member_of` do.
    """

    def __init__(
        self,
        config: ConfigDict,
        train_examples: int,
        devices: Sequence[jax.Device],
        description: Description = FASHION_MNIST,
        weights: Weights | None = None,
    ):
        self.run, self.sharding = shard_batches(make_run(config, train_examples, description, weights), devices)
        self.member = self.put(member_of(config))
        self.template = with_sharding(jax.eval_shape(self.run.init, self.member), self.sharding)
        self.programs = Programs(self.run, self.template, self.member)

    def put(self, tree: Any) -> Any:
        """Returns the arrays of a tree on the devices."""
        return processes.put(tree, self.sharding)

    def put_split(self, split: Split) -> DeviceSplit:
        """Returns the split on the devices."""
        return device.put(split, self.sharding)

    def with_seed(self, seed: int) -> Member:
        """Returns the config's member with another seed, on the devices."""
        return self.put(self.member._replace(seed=np.uint32(seed)))

    def begin(self, dataset: Dataset, state: TrainState, member: Member | None = None) -> SingleProgramBatch:
        """Returns the run as a batch of one member, by default the config's, in that state."""
        return SingleProgramBatch(self.programs, on_device(dataset, self.sharding), member or self.member, state)


class VmapExecutor(Executor):
    """Trains all members of a chunk in one program. Each device holds all data and works on its own members alone."""

    def __init__(self, run: Run, dataset: Dataset, devices: Sequence[jax.Device], budget_bytes: int | None = None):
        mapped, sharded, replicated = shard_members(run, devices)
        super().__init__(mapped, dataset, sharded, replicated, budget_bytes)

    def chunk_size(self, member: Member, members: int, max_concurrent: int) -> int:
        """Returns the size for the fewest chunks whose program fits, which is found by compiling it."""
        one = self._stacked(member, 1)
        chunks = -(-members // min(max_concurrent or members, self._max_members(self._state_bytes(one))))
        while True:
            size = -(-members // chunks)
            fitting = self._max_members(self._program_bytes(self._stacked(member, size)))
            if size <= fitting:
                return size
            chunks = max(chunks + 1, -(-members // fitting))

    def begin(self, members: Sequence[Member], padded_size: int) -> MemberBatch:
        shape = self._stacked(members[0], padded_size)
        # The padding repeats the first member; its metrics are ignored.
        padded = [*members, *[members[0]] * (shape.seed.size - len(members))]
        stacked = jax.tree.map(lambda shape, *leaves: np.asarray(leaves, shape.dtype), shape, *padded)
        on_devices, programs = processes.put(stacked, self._sharding), self.programs(shape)
        state = jax.block_until_ready(programs.init()(on_devices))
        return SingleProgramBatch(programs, self._data, on_devices, state, len(members))

    def _stacked(self, member: Member, size: int) -> Member:
        """The shape of so many members like `member`, and more if the devices could not share them evenly."""
        shape = (-(-size // len(self._devices)) * len(self._devices),)
        return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(shape, leaf.dtype), member)


class SingleProgramBatch(MemberBatch):
    """Members trained by one program: a single one, or several stacked along the first axis of every array.

    **Arguments:**

    - `members`, `state`: the arrays.
    - `size`: how many members are stacked, padding not counted; `None` for a single one that is not.

    **Attributes:**

    - `state`: as it is after what was started last.
    """

    def __init__(
        self, programs: Programs, data: DeviceDataset, members: Member, state: TrainState, size: int | None = None
    ):
        super().__init__(programs, data)
        self.state = state
        self._members, self._size = members, size

    def train(self, alive: Collection[int]) -> PendingMetrics:
        del alive  # members that diverged stay in the program
        train = self._data["train"]
        self.state, sums = self._programs.epoch(train)(self.state, self._members, train)
        return _OnDevice(sums, self._size)

    def estimate_statistics(self, alive: Collection[int]) -> Pending | None:
        del alive
        train = self._data["train"]
        estimate = self._programs.estimate_statistics(train)
        if estimate is None:
            return None
        self.state = estimate(self.state, train)
        done: Any = self.state.step
        return done

    def evaluate(self, split: str, alive: Collection[int]) -> PendingMetrics:
        del alive
        data = self._data[split]
        return _OnDevice(self._programs.evaluate(data)(self.state, data), self._size)


class _OnDevice:
    """Metrics that a program is computing."""

    def __init__(self, sums: MetricSums, size: int | None):
        self._sums, self._size = sums, size

    def is_ready(self) -> bool:
        return all(leaf.is_ready() for leaf in jax.tree.leaves(self._sums))

    def result(self) -> dict[int, MetricSums]:
        sums = processes.fetch(self._sums)
        if self._size is None:
            return {0: sums}
        return {index: jax.tree.map(lambda leaf, i=index: leaf[i], sums) for index in range(self._size)}


def shard_batches(run: Run, devices: Sequence[jax.Device]) -> tuple[Run, NamedSharding]:
    """Returns the run with each batch sharded over devices, and the sharding of all its arrays: replicated."""
    mesh = Mesh(np.asarray(devices), (batch_sharding.AXIS,), axis_types=(AxisType.Auto,))
    replicated = NamedSharding(mesh, PartitionSpec())

    def sharded(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            with jax.sharding.use_abstract_mesh(mesh.abstract_mesh):
                return lax.with_sharding_constraint(function(*arguments), replicated)

        return call

    sharded_run = dataclasses.replace(
        run,
        init=sharded(run.init),
        epoch=sharded(run.epoch),
        evaluate=sharded(run.evaluate),
        predict=sharded(run.predict),
        estimate_statistics=run.estimate_statistics and sharded(run.estimate_statistics),
    )
    return sharded_run, replicated


def shard_members(run: Run, devices: Sequence[jax.Device]) -> tuple[Run, NamedSharding, NamedSharding]:
    """Returns the run mapped over the first axis of members, states and metrics, which is sharded over devices.

    **Returns:** the run, the sharding of members, states and metrics, and that of the data: replicated.
    """
    mesh = Mesh(np.asarray(devices), (_MEMBERS,))

    def mapped(function: Callable[..., Any], *axes: int | None) -> Callable[..., Any]:
        specs = tuple(PartitionSpec() if axis is None else PartitionSpec(_MEMBERS) for axis in axes)
        # Not left to the compiler's own partitioning: the convolutions of many members are one grouped convolution,
        # in which it would not see that members are independent.
        return jax.shard_map(
            jax.vmap(function, in_axes=axes),
            mesh=mesh,
            in_specs=specs,
            out_specs=PartitionSpec(_MEMBERS),
            check_vma=False,
        )

    mapped_run = dataclasses.replace(
        run,
        init=mapped(run.init, 0),
        epoch=mapped(run.epoch, 0, 0, None),
        evaluate=mapped(run.evaluate, 0, None),
        estimate_statistics=run.estimate_statistics and mapped(run.estimate_statistics, 0, None),
    )
    return mapped_run, NamedSharding(mesh, PartitionSpec(_MEMBERS)), NamedSharding(mesh, PartitionSpec())
