"""Members one by one: each is trained by the program of a single run, as many side by side as there are cores."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import jax
from jax.sharding import SingleDeviceSharding

from fmnist_jax.data import Dataset
from fmnist_jax.data.device import DeviceSplit
from fmnist_jax.train.chunk import Chunk, Pending, Strategy
from fmnist_jax.train.counts import Counts
from fmnist_jax.train.programs import Programs
from fmnist_jax.train.resources import cores
from fmnist_jax.train.run import Run
from fmnist_jax.train.state import Member, TrainState


class Looped(Strategy):
    """Trains the members of a chunk on the first of the devices, a thread for each core."""

    def __init__(self, run: Run, dataset: Dataset, devices: Sequence[jax.Device], budget: int):
        where = SingleDeviceSharding(devices[0])
        super().__init__(run, dataset, where, where, budget)

    def size(self, member: Member, members: int, at_once: int) -> int:
        """Returns a member for each core: a larger chunk would be no faster, and more is lost when it is killed."""
        most = min(at_once or cores(), self._fitting(self._bytes_each(member)))
        return -(-members // -(-members // most))

    def begin(self, members: Sequence[Member], places: int, splits: Collection[str]) -> Chunk:
        del places  # each has a program of its own
        programs = self._programs(members[0])
        programs.prepare(splits)
        return _Separate(programs, jax.device_put(list(members), self._of_members), self._data)


class _Separate(Chunk):
    """Members and their states, each by itself. What one thread starts is computed in turn: hence several threads."""

    def __init__(self, programs: Programs, members: Sequence[Member], data: Mapping[str, DeviceSplit]):
        self._programs, self._members, self._data = programs, members, data
        self._states: list[TrainState] = jax.block_until_ready([programs.init(member) for member in members])
        self._trained: dict[int, Future[Counts]] = {}
        self._threads = ThreadPoolExecutor(min(len(members), cores()))

    def train(self, alive: Collection[int]) -> Pending:
        self._trained = {place: self._threads.submit(self._train, place) for place in alive}
        return _Futures(self._trained)

    def evaluate(self, split: str, alive: Collection[int]) -> Pending:
        return _Futures({place: self._threads.submit(self._evaluate, split, place) for place in alive})

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _train(self, place: int) -> Counts:
        data = self._data["train"]
        self._states[place], counts = self._programs.epoch(self._states[place], self._members[place], data)
        return jax.block_until_ready(counts)

    def _evaluate(self, split: str, place: int) -> Counts:
        if place in self._trained:
            self._trained[place].result()  # asked for before, so that a thread is at it, or was
        return jax.block_until_ready(self._programs.evaluate(split)(self._states[place], self._data[split]))


class _Futures:
    """Counts that threads are computing."""

    def __init__(self, futures: Mapping[int, Future[Counts]]):
        self._futures = futures

    def is_ready(self) -> bool:
        return all(future.done() for future in self._futures.values())

    def counts(self) -> dict[int, Counts]:
        return {place: jax.device_get(future.result()) for place, future in self._futures.items()}
