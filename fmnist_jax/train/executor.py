"""What the ways to train many members have in common: chunks of members, trained epoch by epoch."""

from __future__ import annotations

import abc
from collections.abc import Collection, Mapping, Sequence
from types import TracebackType
from typing import Any, Protocol

import jax
from jax.sharding import Sharding

from fmnist_jax.data import Dataset, device
from fmnist_jax.data.device import DeviceSplit
from fmnist_jax.errors import ConfigError
from fmnist_jax.runtime import memory
from fmnist_jax.train.metrics import MetricSums
from fmnist_jax.train.programs import Programs, with_sharding
from fmnist_jax.train.run import Member, Run


class PendingMetrics(Protocol):
    """Metrics of members that are being computed."""

    def is_ready(self) -> bool:
        """Whether they are computed, or have failed."""

    def counts(self) -> Mapping[int, MetricSums]:
        """Waits for them, and returns the host's numbers by the member's place in the chunk; raises what failed."""


class MemberBatch(abc.ABC):
    """Members in training, with their states. When left, it lets go of what it has not begun.

    **Arguments:**

    - `programs`, `data`: of the members; the splits by name.
    """

    def __init__(self, programs: Programs, data: Mapping[str, DeviceSplit]):
        self._programs, self._data = programs, data

    def prepare(self, splits: Collection[str]) -> None:
        """Compiles what training and scoring these splits need; what is not prepared is compiled when it is needed."""
        self._programs.epoch(self._data["train"])
        for split in splits:
            self._programs.evaluate(self._data[split])

    @abc.abstractmethod
    def train(self, alive: Collection[int]) -> PendingMetrics:
        """Starts an epoch of at least the members at the places `alive`; returns at once."""

    @abc.abstractmethod
    def evaluate(self, split: str, alive: Collection[int]) -> PendingMetrics:
        """Starts to score them, as what was started before leaves them; returns at once."""

    @abc.abstractmethod
    def close(self) -> None:
        """Lets go of what is not begun."""

    def __enter__(self) -> MemberBatch:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


class Executor(abc.ABC):
    """A way to train the members of one run.

    **Arguments:**

    - `run`: functions over what the executor takes for a member: one, or many stacked.
    - `of_members`, `everywhere`: where members with their states are, and the data.
    - `budget`: bytes on each device, for everything.
    """

    def __init__(self, run: Run, dataset: Dataset, of_members: Sharding, everywhere: Sharding, budget: int):
        self._run, self._of_members, self._budget = run, of_members, budget
        self._devices = len(of_members.device_set)
        train, val = device.put(dataset.train, everywhere), device.put(dataset.val, everywhere)
        test = val if dataset.validation_is_test else device.put(dataset.test, everywhere)
        self._data = {"train": train, "val": val, "test": test}
        self._data_bytes = memory.tree_nbytes((train, val) if test is val else (train, val, test))
        self._compiled: dict[Any, Programs] = {}

    @property
    def device(self) -> str:
        """The kind of the devices, and how many where they are several."""
        devices: Any = self._of_members.device_set
        kind = " and ".join(sorted({device.device_kind for device in devices}))
        return kind if len(devices) == 1 else f"{len(devices)} x {kind}"

    @property
    def compile_seconds(self) -> float:
        """How long it has compiled so far."""
        return sum(programs.seconds for programs in self._compiled.values())

    @abc.abstractmethod
    def size(self, member: Member, members: int, max_concurrent: int) -> int:
        """Returns the size of the chunks for so many members like `member`; their last chunk may be smaller.

        **Arguments:**

        - `max_concurrent`: the largest size allowed, 0 for any.

        **Raises:** `ConfigError` where memory does not suffice for a single member.
        """

    @abc.abstractmethod
    def begin(self, members: Sequence[Member], padded_size: int) -> MemberBatch:
        """Returns the members at their beginning; `padded_size` is the number of members to compile for."""

    def _programs(self, member: Member) -> Programs:
        """The programs for such a member, an array or the shape of one."""
        key = member.seed.shape, *sorted(member.hyperparameters)
        if key not in self._compiled:
            self._compiled[key] = Programs(self._run, self._state(member), self._placed(member))
        return self._compiled[key]

    def _state(self, member: Member) -> Any:
        """The shapes of the state of such a member."""
        return self._placed(jax.eval_shape(self._run.init, member))

    def _placed(self, tree: Any) -> Any:
        return with_sharding(tree, self._of_members)

    def _bytes_each(self, member: Member) -> float:
        """What every member takes on its device, as compiled for such a one: its state, its part of the workspace."""
        programs = self._programs(member)
        both = programs.epoch(self._data["train"]), programs.evaluate(self._data["val"])
        workspace = max(memory.program_nbytes(program) for program in both)
        return self._state_bytes(member) + workspace * self._devices / member.seed.size

    def _state_bytes(self, member: Member) -> float:
        return memory.tree_nbytes(self._state(member)) / member.seed.size

    def _fitting(self, bytes_each: float) -> int:
        """How many members fit onto the devices where each takes that much; raises `ConfigError` where none does."""
        left = max(0, self._budget - self._data_bytes)
        fitting = int(left // bytes_each)
        if not fitting:
            raise ConfigError(
                f"training one member takes {memory.format_bytes(bytes_each)} of memory beside the data, and there are "
                f"{memory.format_bytes(left)}; set a smaller --config.train.batch_size or "
                "--config.train.eval_batch_size"
            )
        return self._devices * fitting
