"""Members one by one: each is trained by the program of a single run, as many side by side as there are cores."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import jax
from jax.sharding import SingleDeviceSharding
from jax.stages import Compiled

from fmnist_jax.data import Dataset
from fmnist_jax.data.device import DeviceSplit
from fmnist_jax.runtime.memory import cores
from fmnist_jax.train.executor import Executor, MemberBatch, PendingMetrics
from fmnist_jax.train.metrics import MetricSums
from fmnist_jax.train.programs import Programs
from fmnist_jax.train.run import Member, Run, TrainState


class ThreadExecutor(Executor):
    """Trains the members of a chunk on the first of the devices, a thread for each core."""

    def __init__(self, run: Run, dataset: Dataset, devices: Sequence[jax.Device], budget: int):
        where = SingleDeviceSharding(devices[0])
        super().__init__(run, dataset, where, where, budget)

    def size(self, member: Member, members: int, max_concurrent: int) -> int:
        """Returns a member for each core: a larger chunk would be no faster, and more is lost when it is killed."""
        most = min(max_concurrent or cores(), self._fitting(self._bytes_each(member)))
        return -(-members // -(-members // most))

    def begin(self, members: Sequence[Member], padded_size: int) -> MemberBatch:
        del padded_size  # each is trained by the program of one
        return _Separate(self._programs(members[0]), self._data, jax.device_put(list(members), self._of_members))


class _Separate(MemberBatch):
    """Members and their states, each by itself. What one thread starts is computed in turn: hence several threads."""

    def __init__(self, programs: Programs, data: Mapping[str, DeviceSplit], members: Sequence[Member]):
        super().__init__(programs, data)
        self._members = members
        self._states: list[TrainState] = jax.block_until_ready([programs.init()(member) for member in members])
        self._trained: dict[int, Future[MetricSums]] = {}
        self._threads = ThreadPoolExecutor(min(len(members), cores()))

    def train(self, alive: Collection[int]) -> PendingMetrics:
        epoch = self._programs.epoch(self._data["train"])
        self._trained = {place: self._threads.submit(self._train, epoch, place) for place in alive}
        return _Futures(self._trained)

    def evaluate(self, split: str, alive: Collection[int]) -> PendingMetrics:
        score = self._programs.evaluate(self._data[split])
        return _Futures({place: self._threads.submit(self._evaluate, score, split, place) for place in alive})

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _train(self, epoch: Compiled, place: int) -> MetricSums:
        self._states[place], counts = epoch(self._states[place], self._members[place], self._data["train"])
        return jax.block_until_ready(counts)

    def _evaluate(self, score: Compiled, split: str, place: int) -> MetricSums:
        if place in self._trained:
            self._trained[place].result()  # asked for before, so that a thread is at it, or was
        return jax.block_until_ready(score(self._states[place], self._data[split]))


class _Futures:
    """Metrics that threads are computing."""

    def __init__(self, futures: Mapping[int, Future[MetricSums]]):
        self._futures = futures

    def is_ready(self) -> bool:
        return all(future.done() for future in self._futures.values())

    def counts(self) -> dict[int, MetricSums]:
        return {place: jax.device_get(future.result()) for place, future in self._futures.items()}
