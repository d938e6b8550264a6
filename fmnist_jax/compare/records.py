"""The records of a study's results and timings, which `compare.results` writes and reads; workloads and cells."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple, TypeAlias

import numpy as np

from fmnist_jax.data import FASHION_MNIST
from fmnist_jax.train.epochs import diverged

Phase: TypeAlias = Literal["tune", "final"]
TUNE: Phase = "tune"
FINAL: Phase = "final"


class Workload(NamedTuple):
    """What every arm is trained on: a model, a budget in epochs and a learning-rate schedule, and the data set.

    `dataset` is empty where the study names none, and has that of `config.data.name` alone.
    """

    model: str
    epochs: int
    schedule: str
    dataset: str = ""

    @property
    def name(self) -> str:
        where = f"{self.dataset}, " if self.dataset else ""
        return f"{where}{self.model}, {self.epochs} epoch{'s' * (self.epochs != 1)}, {self.schedule}"


def all_workloads(
    datasets: Iterable[str], models: Iterable[str], epochs: Iterable[int], schedules: Iterable[str]
) -> list[Workload]:
    """Returns every combination, data set by data set."""
    combined = itertools.product(tuple(datasets) or ("",), models, epochs, schedules)
    return [Workload(model, budget, schedule, dataset) for dataset, model, budget, schedule in combined]


class Cell(NamedTuple):
    """An arm under a workload: the runs that differ in their trial or seed alone."""

    workload: Workload
    arm: str


class OfCell:
    """What belongs to a cell: the fields that say so are those of the dataclasses below it."""

    model: str
    epochs: int
    schedule: str
    arm: str
    dataset: str
    stop_after: int | None

    @property
    def cell(self) -> Cell:
        return Cell(Workload(self.model, self.epochs, self.schedule, self.dataset), self.arm)

    @property
    def budget(self) -> int:
        """The epochs that a run is to have."""
        return self.stop_after or self.epochs


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunEpoch(OfCell):
    """An epoch of a run: a line of `results.jsonl`. Losses that are not finite are NaN.

    **Attributes:**

    - `train_loss`, `train_accuracy`: running means over the epoch; `val_loss`, `val_accuracy`: after it.
    - `test_loss`, `test_accuracy`: `None` unless the test set was scored after this epoch.
    - `train_seconds`, `eval_seconds`: wall time of the chunk's epoch divided by the chunk's runs.
    - `metrics`: those of `config.eval.metrics`, named like the others: `"val_ece"`, `"test_ece"`.
    - `classes`: of the data.
    - `stop_after`: the epochs after which the trial is stopped, `None` where it is trained to the end.
    - `batch_size`, `warmup`: `None` where they are those of the config.
    """

    model: str
    epochs: int
    schedule: str
    arm: str
    optimizer: str
    phase: Phase
    trial: int
    seed: int
    hyperparameters: Mapping[str, float]
    member: int
    chunk: int
    epoch: int
    step: int
    train_loss: float
    train_accuracy: float
    val_loss: float
    val_accuracy: float
    test_loss: float | None = None
    test_accuracy: float | None = None
    train_seconds: float
    eval_seconds: float
    metrics: Mapping[str, float | None] = dataclasses.field(default_factory=dict)
    dataset: str = ""
    classes: int = FASHION_MNIST.num_classes
    batch_size: int | None = None
    warmup: str | None = None
    stop_after: int | None = None

    @property
    def settings(self) -> dict[str, float | str]:
        """The hyperparameters, and the batch size and the warm-up where they are its own."""
        own = {"batch_size": self.batch_size, "warmup": self.warmup}
        return {**self.hyperparameters, **{key: value for key, value in own.items() if value is not None}}

    @property
    def chance(self) -> float:
        """The accuracy of a guess, which a diverged run is scored with."""
        return 1 / self.classes

    @property
    def diverged(self) -> bool:
        """Whether a loss was not finite, with which a run ends."""
        return diverged(vars(self))


@dataclasses.dataclass(frozen=True)
class TrainedRun:
    """A run that has ended: all its epochs, or those up to the one in which it diverged."""

    history: Sequence[RunEpoch]

    @property
    def last(self) -> RunEpoch:
        return self.history[-1]

    @property
    def diverged(self) -> bool:
        return self.last.diverged

    @property
    def trial(self) -> int:
        return self.last.trial

    @property
    def seed(self) -> int:
        return self.last.seed

    @property
    def hyperparameters(self) -> Mapping[str, float]:
        return self.last.hyperparameters

    @property
    def final_val_accuracy(self) -> float:
        """Validation accuracy after the last epoch, never the best one; that of chance where it diverged."""
        return self.last.chance if self.diverged else self.last.val_accuracy

    @property
    def final_test_accuracy(self) -> float:
        """Test accuracy after the last epoch; that of chance where it diverged, NaN where it was not scored."""
        scored = np.nan if self.last.test_accuracy is None else self.last.test_accuracy
        return self.last.chance if self.diverged else scored

    def curve(self, name: str) -> np.ndarray:
        """Returns the figure `name` of each epoch, `float64[epochs trained]`."""
        return np.array([getattr(epoch, name) for epoch in self.history], float)


@dataclasses.dataclass(frozen=True)
class ChunkTiming:
    """What the training of a chunk took, in seconds of wall time, and on what: a line of `chunks.jsonl`.

    `parameter_bytes` and `optimizer_bytes` are the memory of one run's parameters and of its optimizer's state.
    """

    chunk: int
    members: int
    compile_seconds: float
    train_seconds: float
    eval_seconds: float
    executor: str
    device: str
    parameter_bytes: int | None = None
    optimizer_bytes: int | None = None
