"""What the ways to train members share: compiled programs, members in training, memory."""

from __future__ import annotations

import abc
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from types import TracebackType
from typing import Any, Protocol

import jax
from jax.sharding import Sharding
from jax.stages import Compiled, Lowered

from fmnist_jax.data import Dataset
from fmnist_jax.data.device import DeviceDataset, DeviceSplit, on_device
from fmnist_jax.errors import ConfigError
from fmnist_jax.runtime import compiler, memory, processes
from fmnist_jax.train.batches import MetricSums
from fmnist_jax.train.network import Member, TrainState
from fmnist_jax.train.run import Run


class Programs:
    """The run functions, compiled when they are first needed, once for each shape of data.

    **Arguments:**

    - `run`: the functions; `state`, `member`: their arguments, or the shapes of them.
    - `compile`: compiles what has been lowered; `None`: for the default backend.

    **Attributes:**

    - `seconds`: compile time so far.
    """

    def __init__(
        self,
        run: Run,
        state: TrainState,
        member: Member,
        compile: Callable[[Lowered], Compiled] | None = None,
    ):
        self._run, self._state, self._member = run, state, member
        self._compile_lowered = compile or compiler.compile_lowered
        self._compiled: dict[Any, Compiled] = {}
        self.seconds = 0.0

    def init(self) -> Compiled:
        """Returns `init(member) -> state`."""
        return self._compile("init", self._member)

    def epoch(self, train: DeviceSplit) -> Compiled:
        """Returns `epoch(state, member, train) -> (state, sums)`, which donates its state."""
        return self._compile("epoch", self._state, self._member, train, donate_argnums=0)

    def estimate_statistics(self, train: DeviceSplit) -> Compiled | None:
        """Returns `estimate_statistics(state, train) -> state`, which donates its state; `None` if the run has none."""
        if self._run.estimate_statistics is None:
            return None
        return self._compile("estimate_statistics", self._state, train, donate_argnums=0)

    def evaluate(self, split: DeviceSplit) -> Compiled:
        """Returns `evaluate(state, split) -> sums`."""
        return self._compile("evaluate", self._state, split)

    def predict(self, images: jax.Array) -> Compiled:
        """Returns `predict(state, images) -> probabilities`."""
        return self._compile("predict", self._state, images)

    def _compile(self, name: str, *arguments: Any, **options: Any) -> Compiled:
        key = name, *(leaf.shape for leaf in jax.tree.leaves(arguments))
        if key not in self._compiled:
            begun = time.perf_counter()
            lowered = jax.jit(getattr(self._run, name), **options).lower(*arguments)
            self._compiled[key] = self._compile_lowered(lowered)
            self.seconds += time.perf_counter() - begun
        return self._compiled[key]


class Pending(Protocol):
    """Something that is being computed."""

    def is_ready(self) -> bool:
        """Whether it is computed, or has failed."""


class PendingMetrics(Pending, Protocol):
    """Metrics of members that are being computed."""

    def result(self) -> Mapping[int, MetricSums]:
        """Waits for them and returns the host's numbers by the member's index in the batch; raises what failed."""


class MemberBatch(abc.ABC):
    """Members in training, with their states. Cancels pending work on exit.

    **Arguments:**

    - `programs`: of the members; `data`: what they are trained and scored on.
    """

    def __init__(self, programs: Programs, data: DeviceDataset):
        self._programs, self._data = programs, data

    def prepare(self, splits: Collection[str]) -> None:
        """Compiles what training and scoring these splits need; the rest is compiled when it is needed."""
        self._programs.epoch(self._data["train"])
        self._programs.estimate_statistics(self._data["train"])
        for split in splits:
            self._programs.evaluate(self._data[split])

    @abc.abstractmethod
    def train(self, alive: Collection[int]) -> PendingMetrics:
        """Starts an epoch of at least the members with the indices `alive`; returns immediately."""

    @abc.abstractmethod
    def estimate_statistics(self, alive: Collection[int]) -> Pending | None:
        """Starts to estimate their batch statistics for evaluation; `None` if the run estimates none."""

    @abc.abstractmethod
    def evaluate(self, split: str, alive: Collection[int]) -> PendingMetrics:
        """Starts to score them after everything that was started before; returns immediately."""

    def close(self) -> None:
        """Cancels pending work. A program that the device has begun cannot be stopped."""
        return

    def __enter__(self) -> MemberBatch:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


class Executor(abc.ABC):
    """A way to train the members of one population.

    **Arguments:**

    - `run`: functions over what the executor takes for a member: one, or many stacked.
    - `members`, `replicated`: the shardings of members with their states, and of the data.
    - `budget_bytes`: memory on each device, for everything; `None`: what is free now, less a margin.
    """

    def __init__(
        self, run: Run, dataset: Dataset, members: Sharding, replicated: Sharding, budget_bytes: int | None = None
    ):
        self._run, self._sharding = run, members
        self._devices: list[Any] = list(members.device_set)
        self._data = on_device(dataset, replicated)
        if budget_bytes is None:
            available = memory.available_bytes(list(members.addressable_devices))
            # Every process must come to the same sizes.
            budget_bytes = min(processes.gather(available + self._data.nbytes(resident=True)))
        self._member_bytes = max(0, budget_bytes - self._data.nbytes())
        self._programs: dict[Any, Programs] = {}

    @property
    def device(self) -> str:
        """The kind of the devices, and how many if several."""
        kind = " and ".join(sorted({device.device_kind for device in self._devices}))
        return kind if len(self._devices) == 1 else f"{len(self._devices)} x {kind}"

    @property
    def compile_seconds(self) -> float:
        """Compile time so far."""
        return sum(programs.seconds for programs in self._programs.values())

    @abc.abstractmethod
    def chunk_size(self, member: Member, members: int, max_concurrent: int) -> int:
        """Returns the size of the chunks for so many members like `member`; their last chunk may be smaller.

        **Arguments:**

        - `max_concurrent`: the largest size allowed, 0 for any.

        **Raises:** `ConfigError` if memory does not suffice for a single member.
        """

    @abc.abstractmethod
    def begin(self, members: Sequence[Member], padded_size: int) -> MemberBatch:
        """Returns the initialized members; `padded_size` is the number of members to compile for."""

    def programs(self, member: Member) -> Programs:
        """Returns the programs for such a member, an array or the shape of one."""
        key = member.seed.shape, *sorted(member.hyperparameters)
        if key not in self._programs:
            state, member = (with_sharding(tree, self._sharding) for tree in (self._state(member), member))
            self._programs[key] = Programs(self._run, state, member)
        return self._programs[key]

    def _state(self, member: Member) -> TrainState:
        """The shapes of the state of such a member."""
        return jax.eval_shape(self._run.init, member)

    def _program_bytes(self, member: Member) -> float:
        """Memory of each member on its device, compiled for such a one: its state and its part of the workspace."""
        programs = self.programs(member)
        both = programs.epoch(self._data["train"]), programs.evaluate(self._data["val"])
        workspace = max(memory.program_nbytes(program) for program in both)
        return self._state_bytes(member) + workspace * len(self._devices) / member.seed.size

    def _state_bytes(self, member: Member) -> float:
        return memory.tree_nbytes(self._state(member)) / member.seed.size

    def _max_members(self, bytes_each: float) -> int:
        """How many members fit on the devices if each takes that much; raises `ConfigError` if none does."""
        fitting = int(self._member_bytes // bytes_each)
        if not fitting:
            raise ConfigError(
                f"training one member takes {memory.format_bytes(bytes_each)} of memory beside the data, and there are "
                f"{memory.format_bytes(self._member_bytes)}; set a smaller --config.train.batch_size or "
                "--config.train.eval_batch_size"
            )
        return len(self._devices) * fitting


def with_sharding(tree: Any, sharding: Sharding) -> Any:
    """Returns the shapes of the arrays of a tree, with that sharding."""
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding), tree)
