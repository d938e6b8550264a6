"""Members one by one: each is trained by the program of a single run, as many concurrently as there are cores."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import jax
from jax.sharding import SingleDeviceSharding
from jax.stages import Compiled

from fmnist_jax.data import Dataset
from fmnist_jax.data.device import DeviceDataset
from fmnist_jax.runtime import processes
from fmnist_jax.runtime.devices import cores
from fmnist_jax.train.batches import MetricSums
from fmnist_jax.train.executor import Executor, MemberBatch, Pending, PendingMetrics, Programs
from fmnist_jax.train.network import Member, TrainState
from fmnist_jax.train.run import Run


class ThreadExecutor(Executor):
    """Trains the members of a chunk, shared out over the processes, on the first device of each, a thread per core."""

    def __init__(self, run: Run, dataset: Dataset, devices: Sequence[jax.Device], budget_bytes: int | None = None):
        local = [device for device in devices if device.process_index == jax.process_index()]
        sharding = SingleDeviceSharding(local[0])
        super().__init__(run, dataset, sharding, sharding, budget_bytes)

    def chunk_size(self, member: Member, members: int, max_concurrent: int) -> int:
        """Returns a member for each core: a larger chunk would be no faster, and lose more when it is killed."""
        fitting = self._max_members(self._program_bytes(member)) * processes.count()
        largest = min(max_concurrent or sum(processes.gather(cores())), fitting)
        return -(-members // -(-members // largest))

    def begin(self, members: Sequence[Member], padded_size: int) -> MemberBatch:
        del padded_size  # the program is that of one member
        return _ThreadBatch(self.programs(members[0]), self._data, jax.device_put(list(members), self._sharding))


class _ThreadBatch(MemberBatch):
    """Members with a state each. JAX runs on a CPU what one thread starts one after the other: hence several.

    Each process trains every nth member, and only they have a state there.
    """

    def __init__(self, programs: Programs, data: DeviceDataset, members: Sequence[Member]):
        super().__init__(programs, data)
        self._members = members
        own = range(jax.process_index(), len(members), processes.count())
        states = {index: programs.init()(members[index]) for index in own}
        self._states: dict[int, TrainState] = jax.block_until_ready(states)
        self._started: dict[int, Future[Any]] = {}  # what changes the state of a member, the last one started
        self._threads = ThreadPoolExecutor(min(len(members), cores()))

    def train(self, alive: Collection[int]) -> PendingMetrics:
        epoch = self._programs.epoch(self._data["train"])
        futures = {index: self._threads.submit(self._train, epoch, index) for index in self._own_of(alive)}
        self._started = dict(futures)
        return _Futures(futures)

    def estimate_statistics(self, alive: Collection[int]) -> Pending | None:
        estimate = self._programs.estimate_statistics(self._data["train"])
        if estimate is None:
            return None
        futures = {
            index: self._threads.submit(self._estimate, estimate, index, self._started[index])
            for index in self._own_of(alive)
        }
        self._started = dict(futures)
        return _Futures(futures)

    def evaluate(self, split: str, alive: Collection[int]) -> PendingMetrics:
        evaluate = self._programs.evaluate(self._data[split])
        submit, started, own = self._threads.submit, self._started, self._own_of(alive)
        return _Futures({index: submit(self._evaluate, evaluate, split, index, started.get(index)) for index in own})

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _own_of(self, alive: Collection[int]) -> list[int]:
        return [index for index in alive if index in self._states]

    def _train(self, epoch: Compiled, index: int) -> MetricSums:
        self._states[index], sums = epoch(self._states[index], self._members[index], self._data["train"])
        return jax.block_until_ready(sums)

    def _estimate(self, estimate: Compiled, index: int, before: Future[Any]) -> Any:
        before.result()  # submitted before, so that a thread is running it, or has done so
        self._states[index] = estimate(self._states[index], self._data["train"])
        return jax.block_until_ready(self._states[index].step)

    def _evaluate(self, evaluate: Compiled, split: str, index: int, before: Future[Any] | None) -> MetricSums:
        if before is not None:
            before.result()
        return jax.block_until_ready(evaluate(self._states[index], self._data[split]))


class _Futures:
    """Metrics that threads are computing."""

    def __init__(self, futures: Mapping[int, Future[Any]]):
        self._futures = futures

    def is_ready(self) -> bool:
        return all(future.done() for future in self._futures.values())

    def result(self) -> dict[int, MetricSums]:
        own = {index: jax.device_get(future.result()) for index, future in self._futures.items()}
        return {index: sums for found in processes.gather(own) for index, sums in found.items()}
