"""The records of a study's plan, which `compare.results` writes and reads."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Literal

from fmnist_jax.compare.records import OfCell, Phase


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
    - `trial`, `hyperparameters`: `None` for a final run that takes the settings of the winning trial, and for a trial
      that goes on.
    - `batch_size`, `warmup`: `None` where they are those of the config.
    - `rank`: of a trial that goes on: its place in the rung below.
    """

    member: int
    trial: int | None
    seed: int
    hyperparameters: Mapping[str, float] | None
    batch_size: int | None = None
    warmup: str | None = None
    rank: int | None = None

    @property
    def program(self) -> tuple[object, ...]:
        """What it shares with the runs that one compiled program can train."""
        return self.batch_size, self.warmup, *sorted(self.hyperparameters or ())


@dataclasses.dataclass(frozen=True)
class PlannedChunk(OfCell):
    """Runs of one cell and phase that are trained together.

    **Attributes:**

    - `chunk`: its number in the study.
    - `stop_after`: the epochs after which its trials are stopped, `None` where they are trained to the end.
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
    stop_after: int | None = None

    @property
    def run_epochs(self) -> int:
        """The epochs of all its runs together."""
        return len(self.members) * self.budget


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
