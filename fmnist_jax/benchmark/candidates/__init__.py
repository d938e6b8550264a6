"""Who is compared, and what each gives its process: tasks to be timed. Imported by every candidate, so without JAX."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

import numpy as np

from fmnist_jax.benchmark.networks import CLASSES, IMAGE_SIZE
from fmnist_jax.benchmark.problem import EVAL_BATCH, TEST_EXAMPLES, TRAIN_EXAMPLES

Go = Callable[[], object]


class Entry(NamedTuple):
    """A candidate's `module`, whose `make(problem, variant)` builds it, and the `framework` that it stands for."""

    module: str
    variant: str
    framework: Literal["ours", "flax", "keras", "torch"]
    summary: str


CANDIDATES: Mapping[str, Entry] = {
    "ours": Entry(f"{__name__}.ours", "", "ours", "fmnist_jax: one jitted epoch"),
    "flax-loop": Entry(f"{__name__}.flax", "loop", "flax", "stock Flax NNX: a jitted step in a Python loop"),
    "flax-scan": Entry(f"{__name__}.flax", "scan", "flax", "stock Flax NNX: the step in a lax.scan"),
    "keras": Entry(f"{__name__}.keras", "", "keras", "Keras on TensorFlow: model.fit"),
    "keras-jit": Entry(f"{__name__}.keras", "jit", "keras", "Keras on TensorFlow: model.fit, jit_compile"),
    "torch": Entry(f"{__name__}.torch", "", "torch", "PyTorch: eager"),
    "torch-compile": Entry(f"{__name__}.torch", "compile", "torch", "PyTorch: torch.compile"),
    "torch-channels-last": Entry(f"{__name__}.torch", "channels-last", "torch", "PyTorch: eager, channels-last"),
}
# The machine's own matrix products and memory bandwidth, timed in turn with the candidates, for the roofline.
MACHINE = Entry(f"{__name__}.machine", "", "ours", "matrix product and memory bandwidth")


class Unavailable(Exception):
    """A candidate cannot run here; the message says what is missing."""


class Task(NamedTuple):
    """Something to be timed, in units of equal work.

    **Attributes:**

    - `prepare`: `prepare(n)` returns a function that does n units and returns when they are done. It is called once
      for each n; the first call of what it returns may compile.
    - `work`: in a unit: examples, floating-point operations or bytes.
    - `max_units`: of one measurement, such as the batches of an epoch.
    """

    prepare: Callable[[int], Go]
    work: float
    max_units: int


@dataclasses.dataclass(frozen=True)
class Implementation:
    """A framework with its network, ready to be timed.

    **Attributes:**

    - `tasks`: by name; a first step is a unit of the first of them.
    - `parameters`: the number of trained parameters.
    - `device`: the framework's name of the device that computes.
    - `versions`: of the packages that decide its speed.
    - `device_memory`: returns the peak of memory on the device in bytes; `None` where that is the host's.
    """

    tasks: Mapping[str, Task]
    parameters: int
    device: str
    versions: Mapping[str, str]
    device_memory: Callable[[], int | None] = lambda: None


def random_images(examples: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns random images `uint8[n, 28, 28]` and labels `uint8[n]`: their content does not affect speed."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (examples, IMAGE_SIZE, IMAGE_SIZE), np.uint8)
    return images, rng.integers(0, CLASSES, examples, np.uint8)


def network_tasks(
    train: Callable[[int], Go], evaluate: Callable[[int], Go], batch_size: int, members: int = 1
) -> dict[str, Task]:
    """Returns the tasks `train` (n batches of an epoch) and `evaluate` (n batches of the test set)."""
    return {
        "train": Task(train, members * batch_size, max(1, TRAIN_EXAMPLES // batch_size)),
        "evaluate": Task(evaluate, members * EVAL_BATCH, TEST_EXAMPLES // EVAL_BATCH),
    }
