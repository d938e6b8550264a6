"""What a study's files say, as values: its design, and every member that was trained, in workloads and cells."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

CHANCE = 1 / 10  # the accuracy of a guess; what a run that diverged counts for


@dataclasses.dataclass(frozen=True)
class Curve:
    """A member's learning curve.

    **Attributes:** each `float64[epochs trained]`, NaN where a loss was not finite.

    - `epoch`, `step`: after how many epochs and steps.
    - `train_loss`, `train_accuracy`: running means over the epoch; `val_loss`, `val_accuracy`: after it.
    - `train_seconds`: of the epoch, the chunk's wall time divided by its members; `eval_seconds`: of its evaluation.
    """

    epoch: np.ndarray
    step: np.ndarray
    train_loss: np.ndarray
    train_accuracy: np.ndarray
    val_loss: np.ndarray
    val_accuracy: np.ndarray
    train_seconds: np.ndarray
    eval_seconds: np.ndarray


@dataclasses.dataclass(frozen=True)
class Member:
    """A training run that has ended: all its epochs, or up to the one in which it diverged.

    `test_loss` and `test_accuracy` are NaN where it was not scored on the test set.
    """

    number: int
    chunk: int
    trial: int
    seed: int
    hyperparameters: Mapping[str, float]
    curve: Curve
    test_loss: float
    test_accuracy: float

    @property
    def diverged(self) -> bool:
        """Whether a loss stopped being finite."""
        return not np.isfinite([self.curve.train_loss[-1], self.curve.val_loss[-1]]).all()

    @property
    def final_val_accuracy(self) -> float:
        """Validation accuracy after the last epoch, never the best one; that of chance where it diverged."""
        return CHANCE if self.diverged else float(self.curve.val_accuracy[-1])

    @property
    def final_test_accuracy(self) -> float:
        """Test accuracy after the last epoch; that of chance where it diverged, NaN where it was not scored."""
        return CHANCE if self.diverged else self.test_accuracy


@dataclasses.dataclass(frozen=True)
class Cell:
    """An arm under a workload.

    **Attributes:**

    - `trials`: its tuning runs, in order; `finals`: its final ones, in order of their seeds.
    - `planned_trials`, `planned_finals`: how many there are to be.
    """

    arm: str
    trials: Sequence[Member]
    finals: Sequence[Member]
    planned_trials: int
    planned_finals: int


@dataclasses.dataclass(frozen=True)
class Workload:
    """A model, a budget in epochs and a schedule, with a cell for each arm of the study."""

    model: str
    epochs: int
    schedule: str
    cells: Sequence[Cell]

    @property
    def name(self) -> str:
        return f"{self.model}, {self.epochs} epoch{'s' * (self.epochs != 1)}, {self.schedule}"


@dataclasses.dataclass(frozen=True)
class Design:
    """The `study` section of the config: what was to be trained.

    **Attributes:**

    - `seeds`: final runs of each cell; `trials`: in tuned mode, tuning runs of each cell that has something to tune.
    - `targets`: validation accuracies, fixed beforehand, to which time and steps are measured.
    - `confidence`: of every interval.
    """

    mode: str
    arms: Sequence[str]
    seeds: int
    trials: int
    search: str
    targets: Sequence[float]
    score_test: bool
    confidence: float

    @property
    def tuned(self) -> bool:
        return self.mode == "tuned"


@dataclasses.dataclass(frozen=True)
class Chunk:
    """Members of one cell that were trained together: how, on what, and the seconds of wall time that it took."""

    chunk: int
    members: int
    compile_seconds: float
    train_seconds: float
    eval_seconds: float
    executor: str
    device: str


@dataclasses.dataclass(frozen=True)
class SearchRange:
    """Where tuning looked for a hyperparameter: from `low` to `high`, sampled evenly on its `scale`."""

    default: float
    low: float
    high: float
    scale: Literal["log", "log1m", "linear"]


@dataclasses.dataclass(frozen=True)
class Study:
    """A study as far as it has been trained.

    **Attributes:**

    - `workloads`: every one that was planned, whether or not there is a member of it yet.
    - `chunks`: the finished ones, by number.
    - `spaces`: arm -> hyperparameter -> where tuning looked; empty in quick mode.
    - `config`, `manifest`: the files; `manifest` is `None` where there is none.
    """

    design: Design
    workloads: Sequence[Workload]
    chunks: Mapping[int, Chunk]
    spaces: Mapping[str, Mapping[str, SearchRange]]
    config: Mapping[str, Any]
    manifest: Mapping[str, Any] | None

    @property
    def validation_is_test(self) -> bool:
        """Whether the validation split is the test set, so that "validation" figures are the test set's."""
        data = self.config.get("data")
        return isinstance(data, Mapping) and data.get("val_examples") == 0

    @property
    def scored_examples(self) -> int | None:
        """How many images the score is of; `None` where the manifest does not say."""
        counts = _within(_within(self.manifest, "data"), "examples")
        found = counts.get("test" if self.design.score_test or self.validation_is_test else "val")
        return found if type(found) is int and found > 0 else None

    @property
    def data(self) -> str:
        """The name of the data set."""
        named = (_within(found, "data").get("name") for found in (self.manifest, self.config))
        return next((str(name) for name in named if name), "unknown")


def _within(values: Mapping[str, Any] | None, key: str) -> Mapping[str, Any]:
    found = (values or {}).get(key)
    return found if isinstance(found, Mapping) else {}
