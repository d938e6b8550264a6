"""A population: many members, that is seeds and hyperparameters, of one config, trained together.

```python
population = Population(config, dataset)
sizes = population.chunks(len(members))  # e.g. 7, 7, 6 of 20
outcome = population.train(members[:7], padded_size=sizes[0])
```
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import jax
from ml_collections import ConfigDict

from fmnist_jax.data import Dataset
from fmnist_jax.errors import ConfigError
from fmnist_jax.runtime import memory
from fmnist_jax.train.epochs import History, Training
from fmnist_jax.train.executor import MemberBatch
from fmnist_jax.train.interrupts import Interrupts
from fmnist_jax.train.network import Member
from fmnist_jax.train.run import make_run, member_of
from fmnist_jax.train.sharded import VmapExecutor
from fmnist_jax.train.threads import ThreadExecutor
from fmnist_jax.train.weights import Weights

_EXECUTORS = {"vmap": VmapExecutor, "threads": ThreadExecutor}


class Outcome(NamedTuple):
    """Results of a chunk of members.

    **Attributes:**

    - `histories`: for each member the records of its epochs, as `epochs.Training` describes them, and in the last,
      if the test set was scored, `test_loss, test_accuracy`. The history of a member that diverged ends with the
      epoch in which its `train_loss` or `val_loss` became `None`; both of its `test_*` are `None`.
    - `train_seconds`, `eval_seconds`: wall time of each epoch, for the whole chunk, whose members train concurrently;
      comparable between chunks of equal size. If all members diverge there are fewer than the config's epochs.
    - `compile_seconds`: compile time since the population's last outcome, the search for a chunk size included.
    - `executor`: `"vmap"` or `"threads"`; `device`: the kind of the devices, and how many if several.
    - `parameter_bytes`, `optimizer_bytes`: memory of a member's parameters and of its optimizer's state.
    """

    histories: list[History]
    train_seconds: list[float]
    eval_seconds: list[float]
    compile_seconds: float
    executor: str
    device: str
    parameter_bytes: int
    optimizer_bytes: int


class Population:
    """Trains members of one config, all in one program or each in a thread, whichever is faster.

    **Arguments:**

    - `config`: of the model, the optimizer's name, schedule, epochs, batches. Members bring seed and hyperparameters.
    - `executor`: `"vmap"`: one program for all members of a chunk, sharded over the devices. `"threads"`: the program
      of a single run for each, on the first device of each process, as many concurrently as there are cores.
      `"auto"`: `"threads"` on a CPU, else `"vmap"`.
    - `devices`: `None`: all, of all processes.
    - `max_concurrent`: the largest chunk; 0: as many members as memory allows, with `"threads"` one for each core.
    - `budget_bytes`: memory for everything on each device; `None`: what is free now, less a margin.
    - `weights`: what every member starts from, as of `make_run`.

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
        weights: Weights | None = None,
    ):
        self._config, self._max_concurrent = config, max_concurrent
        self._run = make_run(config, len(dataset.train), dataset.description, weights)
        devices = list(devices or jax.devices())
        self.executor = _faster(devices[0]) if executor == "auto" else executor
        self._executor = _EXECUTORS[self.executor](self._run, dataset, devices, budget_bytes)
        self._compile_seconds = 0.0
        self._bytes: dict[tuple[str, ...], tuple[int, int]] = {}

    def chunks(self, members: int) -> list[int]:
        """Returns the sizes of the chunks in which to train so many members: equal, but for the last.

        They depend on the free memory: store them in order to resume.

        **Raises:** `ConfigError` if memory does not suffice for one member.
        """
        with _memory_errors(1):
            size = self._executor.chunk_size(member_of(self._config), members, self._max_concurrent)
        whole, rest = divmod(members, size)
        return [size] * whole + [rest] * bool(rest)

    def begin(self, members: Sequence[Member], *, padded_size: int = 0) -> MemberBatch:
        """Returns a chunk of initialized members, for a loop of the caller's own; see `train` for the usual one.

        **Raises:** `ValueError` as `train` does.
        """
        names = {tuple(sorted(member.hyperparameters)) for member in members}
        if len(names) != 1:
            raise ValueError(f"members of a population need the same hyperparameters, not {sorted(names)}")
        if padded_size and padded_size < len(members):
            raise ValueError(f"{len(members)} members do not fit into padded_size={padded_size}")
        return self._executor.begin(members, padded_size or len(members))

    def train(
        self,
        members: Sequence[Member],
        *,
        padded_size: int = 0,
        score_test: bool = False,
        stop_after: int = 0,
        on_epoch: Callable[[int], None] | None = None,
        interrupts: Interrupts | None = None,
    ) -> Outcome:
        """Trains a chunk of members to the end.

        A member's numbers are those of the same single run, up to float32 rounding. They depend on the member, the
        config, the devices and `padded_size` only, not on the other members of the chunk.

        **Arguments:**

        - `members`: with the same names of hyperparameters, since one program serves them all.
        - `padded_size`: how many members to compile for: the size of the largest chunk, so that the last one needs no
          compilation of its own; 0: as many as there are.
        - `score_test`: score the test set, once, after the last epoch.
        - `stop_after`: the epochs after which to stop, under the schedule of all; 0: at the end.
        - `on_epoch`: called with each (1-based) epoch of the chunk after it; may raise, to stop.
        - `interrupts`: entered ones, so that a signal can stop within an epoch.

        **Raises:** `ValueError` if the names of hyperparameters differ or `padded_size` is too small; `ConfigError`
        if memory does not suffice; `Interrupted` as `interrupts` does.
        """
        with _memory_errors(len(members)), self.begin(members, padded_size=padded_size) as chunk:
            chunk.prepare(["val", "test"] if score_test else ["val"])
            rates, histories = self._run.epoch_learning_rates(members), [History() for _ in members]
            rates = rates[:, : stop_after or None]
            training = Training(chunk, rates, self._run.steps_per_epoch, interrupts or Interrupts(), histories)
            for epoch in training.epochs():
                if on_epoch is not None:
                    on_epoch(epoch)
            if score_test:
                training.score_test()
        longest = max(histories, key=len)  # that of a member that trained to the end of the chunk
        return Outcome(
            histories,
            [record["train_seconds"] for record in longest],
            [record["eval_seconds"] for record in longest],
            self._newly_compiled(),
            self.executor,
            self._executor.device,
            *self._state_bytes(members[0]),
        )

    def _state_bytes(self, member: Member) -> tuple[int, int]:
        names = tuple(sorted(member.hyperparameters))
        if names not in self._bytes:
            state = jax.eval_shape(self._run.init, member)
            self._bytes[names] = memory.tree_nbytes(state.params), memory.tree_nbytes(state.opt_state)
        return self._bytes[names]

    def _newly_compiled(self) -> float:
        before, self._compile_seconds = self._compile_seconds, self._executor.compile_seconds
        return self._compile_seconds - before


def _faster(device: jax.Device) -> str:
    # On a CPU the members of one program multiply many small matrices, one after the other. Measured with model3 in
    # batches of 256 on two cores, milliseconds per step and member: one thread 42, two threads 21, one program of two
    # members 23, of four 28. To measure it anywhere: scripts/benchmark.py --growth.
    return "threads" if device.platform == "cpu" else "vmap"


@contextlib.contextmanager
def _memory_errors(members: int) -> Iterator[None]:
    """Turns exhausted memory into an error that names the option to change."""
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        fewer, smaller = f"--config.study.members_at_once below {members}", "a smaller --config.train.batch_size"
        hint = fewer if members > 1 else smaller
        raise ConfigError(f"out of memory with {members} members at once; set {hint} ({error})") from None
