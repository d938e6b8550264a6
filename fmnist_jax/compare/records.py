"""The records of a study: what its plan, results and timings hold. They are written and read by `compare.results`."""

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


@dataclasses.dataclass(frozen=True)
class SearchRange:
    """Where tuning looks for a hyperparameter: from `low` to `high`, sampled uniformly on its `scale`."""

    default: float
    low: float
    high: float
    scale: Literal["log", "log1m", "linear"]


@dataclasses.dataclass(frozen=True)
class PlannedRun:
    """A run to be trained.

    **Attributes:**

    - `member`: its number in the study.
    - `trial`, `hyperparameters`: `None` for a final run that takes the settings of the winning trial.
    """

    member: int
    trial: int | None
    seed: int
    hyperparameters: Mapping[str, float] | None


@dataclasses.dataclass(frozen=True)
class PlannedChunk:
    """Runs of one cell and phase that are trained together.

    **Attributes:**

    - `chunk`: its number in the study.
    - `executor`, `padded_size`: how they are trained; see `fmnist_jax.train.population`. The last digits of the results
      depend on both, so the plan fixes them.
    """

    chunk: int
    model: str
    epochs: int
    schedule: str
    arm: str
    optimizer: str
    phase: Phase
    executor: str
    padded_size: int
    members: Sequence[PlannedRun]
    dataset: str = ""

    @property
    def cell(self) -> Cell:
        return Cell(Workload(self.model, self.epochs, self.schedule, self.dataset), self.arm)

    @property
    def run_epochs(self) -> int:
        """The epochs of all its runs together."""
        return len(self.members) * self.epochs


@dataclasses.dataclass(frozen=True)
class Addition:
    """What was added to a study after its start.

    **Attributes:**

    - `chunk`: the first chunk that was added.
    - `trained`: how many runs had been trained by then.
    - `arms`: the new ones; `seeds`: the new ones of the final runs of the arms before them.
    """

    chunk: int
    trained: int
    arms: Sequence[str]
    seeds: Sequence[int]


@dataclasses.dataclass(frozen=True)
class Plan:
    """All chunks, in the order in which they are trained, for each tuned arm its search space, and what was added."""

    chunks: Sequence[PlannedChunk]
    spaces: Mapping[str, Mapping[str, SearchRange]]
    additions: Sequence[Addition] = ()

    @property
    def runs(self) -> int:
        return sum(len(chunk.members) for chunk in self.chunks)

    @property
    def run_epochs(self) -> int:
        return sum(chunk.run_epochs for chunk in self.chunks)


EMPTY = Plan((), {})


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunEpoch:
    """An epoch of a run: a line of `results.jsonl`. Losses that are not finite are NaN.

    **Attributes:**

    - `train_loss`, `train_accuracy`: running means over the epoch; `val_loss`, `val_accuracy`: after it.
    - `test_loss`, `test_accuracy`: `None` unless the test set was scored after this epoch.
    - `train_seconds`, `eval_seconds`: wall time of the chunk's epoch divided by the chunk's runs.
    - `metrics`: those of `config.eval.metrics`, named like the others: `"val_ece"`, `"test_ece"`.
    - `classes`: of the data.
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

    @property
    def cell(self) -> Cell:
        return Cell(Workload(self.model, self.epochs, self.schedule, self.dataset), self.arm)

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
    """What the training of a chunk took, in seconds of wall time, and on what: a line of `chunks.jsonl`."""

    chunk: int
    members: int
    compile_seconds: float
    train_seconds: float
    eval_seconds: float
    executor: str
    device: str
