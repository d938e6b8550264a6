"""What a contender gives its process: tasks to be timed, and what it is."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np

from fmnist_jax.benchmark.architecture import CLASSES, IMAGE_SIZE

TRAIN_EXAMPLES, TEST_EXAMPLES = 60_000, 10_000
# The task of a whole run, which only we have, and how many epochs that is.
RUN, RUN_EPOCHS = "ten epochs", 10
# Evaluation is in batches of that many, for everyone.
EVAL_BATCH = 500

Go = Callable[[], None]


class Unavailable(Exception):
    """A contender cannot run here; the message says what is missing."""


@dataclasses.dataclass(frozen=True)
class Task:
    """Something to be timed, in units of equal work.

    **Attributes:**

    - `prepare`: `prepare(n)` returns a function that does n units, and returns when they are done. It may be called
      again and again, and may have things to compile at its first call.
    - `unit`: the work in a unit: examples, floating-point operations or bytes.
    - `most`: units in one go at most, as the batches of an epoch.
    - `whole`: measure that many, however long they take; what `prepare` returns has been compiled and tried already.
    """

    prepare: Callable[[int], Go]
    unit: float
    most: int
    whole: bool = False


@dataclasses.dataclass(frozen=True)
class Contender:
    """A framework with its network, ready to be timed.

    **Attributes:**

    - `tasks`: by name; a first step is one of the first.
    - `parameters`: how many numbers its network trains.
    - `device`: what it computes on, in its own words.
    - `versions`: of the packages that decide its speed.
    - `device_memory`: returns the peak of memory taken on the device, in bytes; `None` where that is the host's.
    """

    tasks: Mapping[str, Task]
    parameters: int
    device: str
    versions: Mapping[str, str]
    device_memory: Callable[[], int | None] = lambda: None


def random_images(examples: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns images `uint8[n, 28, 28]` and labels `uint8[n]`, random: what they show changes nobody's speed."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (examples, IMAGE_SIZE, IMAGE_SIZE), np.uint8)
    return images, rng.integers(0, CLASSES, examples, np.uint8)


def network_tasks(
    train: Callable[[int], Go], evaluate: Callable[[int], Go], batch_size: int, members: int = 1
) -> dict[str, Task]:
    """Returns the tasks of a network: `train` on n batches of an epoch, `evaluate` n batches of the test set."""
    return {
        "train": Task(train, members * batch_size, max(1, TRAIN_EXAMPLES // batch_size)),
        "evaluate": Task(evaluate, members * EVAL_BATCH, TEST_EXAMPLES // EVAL_BATCH),
    }
