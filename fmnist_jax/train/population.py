"""A population: many members, that is seeds and hyperparameters, of one config, trained together.

```python
population = Population(config, dataset)
sizes = population.chunks(len(members))  # e.g. 7, 7, 6 of 20
outcome = population.train(members[:7], padded_size=sizes[0])
```
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from fmnist_jax.data import Dataset
from fmnist_jax.errors import ConfigError
from fmnist_jax.runtime import memory
from fmnist_jax.train.epoch_record import diverged, epoch_record
from fmnist_jax.train.executor import MemberBatch
from fmnist_jax.train.interrupts import Interrupts
from fmnist_jax.train.run import Member, make_run, member_of
from fmnist_jax.train.threads import ThreadExecutor
from fmnist_jax.train.vmapped import VmapExecutor

_EXECUTORS = {"vmap": VmapExecutor, "threads": ThreadExecutor}
History = list[dict[str, Any]]


class Outcome(NamedTuple):
    """What the members of a chunk came to.

    **Attributes:**

    - `histories`: for each member the records of its epochs: `epoch, step, train_loss, train_accuracy, val_loss,
      val_accuracy, learning_rate`, and in the last, where the test set was to be scored, `test_loss, test_accuracy`.
      Numbers that are not finite are `None`. The history of a member that diverged ends with the epoch in which its
      `train_loss` or `val_loss` became `None`; it is not scored on the test set: both of its `test_*` are `None`.
    - `train_seconds`, `eval_seconds`: of each epoch, by the clock, for the whole chunk; scoring the test set is not in
      them. Where all members diverge there are fewer than the config's epochs.
    - `compile_seconds`: what the population has compiled since its last outcome, while it looked for chunks included.
    - `executor`: `"vmap"` or `"threads"`; `device`: the kind of the devices, and how many where they are several.
    """

    histories: list[History]
    train_seconds: list[float]
    eval_seconds: list[float]
    compile_seconds: float
    executor: str
    device: str


class Population:
    """Trains members of one config, all as one program or one after the other, whichever is faster.

    **Arguments:**

    - `config`: of the model, the optimizer's name, schedule, epochs, batches. Members bring seed and hyperparameters.
    - `executor`: `"vmap"`: one program for all members of a chunk, sharded over the devices. `"threads"`: the program
      of a single run for each, on the first device, as many side by side as there are cores. `"auto"` takes
      `"threads"` on a CPU, else `"vmap"`.
    - `devices`: those of this process, where it is `None`.
    - `max_concurrent`: members in a chunk at most; 0: as many as memory allows, with `"threads"` one for each core.
    - `budget_bytes`: memory to be taken on each device; `None`: what is free now, but for a margin.

    **Raises:** `ConfigError` as `make_run` does.
    """

    def __init__(
        self,
        config: ConfigDict,
        dataset: Dataset,
        *,
        executor: str = "auto",
        devices: Sequence[jax.Device] | None = None,
        max_concurrent: int = 0,
        budget_bytes: int | None = None,
    ):
        self._config, self._max_concurrent = config, max_concurrent
        self._run = make_run(config, len(dataset.train))
        devices = list(devices or jax.local_devices())
        self.executor = _faster(devices[0]) if executor == "auto" else executor
        if self.executor == "threads":
            # It takes nothing of the others: on a CPU, where devices share the host's memory, the first has all of it.
            devices = devices[:1]
        budget = memory.available_bytes(devices) if budget_bytes is None else budget_bytes
        self._executor = _EXECUTORS[self.executor](self._run, dataset, devices, budget)
        self.device = self._executor.device
        self._compile_seconds = 0.0

    def chunks(self, members: int) -> list[int]:
        """Returns the sizes of the chunks that so many members are to be trained in: equal, but for the last.

        They depend on the memory that is there: who wants to resume has to store them.

        **Raises:** `ConfigError` where memory does not suffice for one member.
        """
        with _memory_errors(1):
            size = self._executor.size(member_of(self._config), members, self._max_concurrent)
        whole, rest = divmod(members, size)
        return [size] * whole + [rest] * bool(rest)

    def begin(self, members: Sequence[Member], *, padded_size: int = 0) -> MemberBatch:
        """Returns a chunk of members at their beginning, for who wants to train it by himself; else see `train`.

        **Raises:** `ValueError` as `train` does.
        """
        names = {tuple(sorted(member.hyperparameters)) for member in members}
        if len(names) != 1:
            raise ValueError(f"members of a population need the same hyperparameters, not {sorted(names)}")
        if padded_size and padded_size < len(members):
            raise ValueError(f"{len(members)} members do not fit into {padded_size} places")
        return self._executor.begin(members, padded_size or len(members))

    def train(
        self,
        members: Sequence[Member],
        *,
        padded_size: int = 0,
        score_test: bool = False,
        on_epoch: Callable[[int], None] | None = None,
        interrupts: Interrupts | None = None,
    ) -> Outcome:
        """Trains a chunk of members to the end.

        A member's numbers are those of the same run alone, up to float32 rounding. They depend on the member, the
        config, the devices and `padded_size`, and on nothing else: not on who else is in the chunk.

        **Arguments:**

        - `members`: with the same names of hyperparameters, as one program is to serve them all.
        - `padded_size`: how many members to compile for: the size of the largest chunk, so that the last one needs no
          compilation of its own; 0: as many as there are.
        - `score_test`: score the test set, once, after the last epoch.
        - `on_epoch`: told of each (1-based) epoch of the chunk when it is done; it may raise, to stop.
        - `interrupts`: those that are entered, so that a second signal stops within an epoch.

        **Raises:** `ValueError` where the names of hyperparameters differ or `padded_size` is too small; `ConfigError`
        where memory does not suffice; `Interrupted` as `interrupts` does.
        """
        with _memory_errors(len(members)), self.begin(members, padded_size=padded_size) as chunk:
            chunk.prepare(["val", "test"] if score_test else ["val"])
            training = _Training(chunk, self._rates(members), self._run.steps_per_epoch, interrupts or Interrupts())
            training.train(on_epoch or (lambda epoch: None))
            if score_test:
                training.score_test()
        return Outcome(
            training.histories,
            training.train_seconds,
            training.eval_seconds,
            self._newly_compiled(),
            self.executor,
            self.device,
        )

    def _rates(self, members: Sequence[Member]) -> np.ndarray:
        """The learning rate of each epoch's last step: `float32[members, epochs]`."""
        epochs = np.arange(1, self._config.train.epochs + 1)
        rates = jax.jit(jax.vmap(jax.vmap(self._run.learning_rate, (None, 0)), (0, None)))
        stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *members)
        return np.asarray(rates(stacked, epochs * self._run.steps_per_epoch - 1))

    def _newly_compiled(self) -> float:
        before, self._compile_seconds = self._compile_seconds, self._executor.compile_seconds
        return self._compile_seconds - before


class _Training:
    """A chunk on its way through the epochs, and what is recorded of it."""

    def __init__(self, chunk: MemberBatch, rates: np.ndarray, steps_per_epoch: int, interrupts: Interrupts):
        self._chunk, self._rates, self._steps_per_epoch, self._interrupts = chunk, rates, steps_per_epoch, interrupts
        self.histories: list[History] = [[] for _ in rates]
        self.train_seconds: list[float] = []
        self.eval_seconds: list[float] = []

    def train(self, on_epoch: Callable[[int], None]) -> None:
        for epoch in range(1, self._rates.shape[1] + 1):
            alive = self._alive()
            if alive:
                self._epoch(epoch, alive)
                on_epoch(epoch)

    def score_test(self) -> None:
        """Adds the scores on the test set to the last records."""
        alive = self._alive()
        scored = self._chunk.evaluate("test", alive)
        self._interrupts.wait(scored)
        counts = scored.counts()
        for place, history in enumerate(self.histories):
            means = counts[place].means() if place in alive else {"loss": None, "accuracy": None}
            history[-1].update({f"test_{name}": value for name, value in means.items()})

    def _alive(self) -> Collection[int]:
        return [place for place, history in enumerate(self.histories) if not (history and diverged(history[-1]))]

    def _epoch(self, epoch: int, alive: Collection[int]) -> None:
        begun = time.perf_counter()
        trained, scored = self._chunk.train(alive), self._chunk.evaluate("val", alive)
        self._interrupts.wait(trained)
        between = time.perf_counter()
        self._interrupts.wait(scored)
        trained_counts, scored_counts = trained.counts(), scored.counts()
        self.train_seconds.append(between - begun)
        self.eval_seconds.append(time.perf_counter() - between)
        for place in alive:
            figures = trained_counts[place], scored_counts[place], float(self._rates[place, epoch - 1])
            self.histories[place].append(epoch_record(epoch, epoch * self._steps_per_epoch, *figures))


def _faster(device: jax.Device) -> str:
    # On a CPU the members of one program multiply many small matrices, one after the other. Measured with model3 in
    # batches of 256 on two cores, milliseconds a step and member: alone 42, two side by side 21, one program of two 23,
    # of four 28. What measures it anywhere: scripts/benchmark.py --growth.
    return "threads" if device.platform == "cpu" else "vmap"


@contextlib.contextmanager
def _memory_errors(members: int) -> Iterator[None]:
    """Says which option helps where memory was exhausted."""
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        fewer, smaller = f"--config.study.members_at_once below {members}", "a smaller --config.train.batch_size"
        way_out = fewer if members > 1 else smaller
        raise ConfigError(f"out of memory with {members} members at once; set {way_out} ({error})") from None
