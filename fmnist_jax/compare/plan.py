"""The plan of a study: every run that is to be trained, in which chunks, fixed when the study starts.

`plan.json` holds `chunks`, in the order in which they are trained, and `spaces`, what is searched: arm ->
hyperparameter -> its `default`, `low`, `high` and `scale`. Where the settings of final runs are the winner's among
trials, which are known only when these are done, `hyperparameters` and `trial` are `null`.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from fmnist_jax.compare.arms import Arm
from fmnist_jax.compare.search import trial_settings
from fmnist_jax.errors import WorkdirError
from fmnist_jax.files.atomic import write_atomically

TUNE, FINAL = "tune", "final"
_SEEDS = 2**31  # a config's seed lies below
_FIRST_TUNING_SEED = 1_000_000  # from the first final one on; more than a study has of these


class Workload(NamedTuple):
    """What every arm is trained on."""

    model: str
    epochs: int
    schedule: str

    def __str__(self) -> str:
        return f"{self.model}, {self.epochs} epoch{'s' * (self.epochs != 1)}, {self.schedule}"


@dataclasses.dataclass(frozen=True)
class PlannedMember:
    """A run: its number in the study, and all that distinguishes it from the others of its chunk."""

    member: int
    trial: int | None
    seed: int
    hyperparameters: Mapping[str, float] | None


@dataclasses.dataclass(frozen=True)
class PlannedChunk:
    """Runs of one arm under one workload that are trained together.

    **Attributes:**

    - `phase`: `"tune"` or `"final"`.
    - `executor`, `padded_size`: how they are trained; see `fmnist_jax.train.population`. Figures depend on them in
      their last digits, so they are fixed.
    """

    chunk: int
    model: str
    epochs: int
    schedule: str
    arm: str
    optimizer: str
    phase: str
    executor: str
    padded_size: int
    members: Sequence[PlannedMember]

    @property
    def workload(self) -> Workload:
        return Workload(self.model, self.epochs, self.schedule)

    @property
    def cell(self) -> tuple[str, int, str, str]:
        return *self.workload, self.arm

    @property
    def member_epochs(self) -> int:
        """Epochs of all its runs together."""
        return len(self.members) * self.epochs


@dataclasses.dataclass(frozen=True)
class Plan:
    """All chunks, in the order in which they are trained, and the spaces that were searched."""

    chunks: Sequence[PlannedChunk]
    spaces: Mapping[str, Mapping[str, Any]]

    @property
    def members(self) -> int:
        return sum(len(chunk.members) for chunk in self.chunks)

    @property
    def member_epochs(self) -> int:
        return sum(chunk.member_epochs for chunk in self.chunks)


class Division(NamedTuple):
    """How the runs of a cell are trained: the executor, and `sizes(runs)`, the chunks that so many are divided into."""

    executor: str
    sizes: Callable[[int], Sequence[int]]


def workloads(config: ConfigDict) -> list[Workload]:
    """Returns the workloads of the study: every combination of its models, budgets and schedules."""
    study = config.study
    return [Workload(*each) for each in itertools.product(study.models, study.epochs, study.schedules)]


def make_plan(config: ConfigDict, arms: Sequence[Arm], divide: Callable[[Workload, Arm], Division]) -> Plan:
    """Returns the plan of the study that the config describes.

    **Arguments:**

    - `divide`: says for each workload and arm how its runs are to be trained.
    """
    runs = {arm.name: _runs(config, arm) for arm in arms}
    numbers, members = itertools.count(), itertools.count()
    chunks: list[PlannedChunk] = []
    for workload, arm in itertools.product(workloads(config), arms):
        division = divide(workload, arm)
        parts = [part for part in runs[arm.name] for part in _divided(part, division.sizes)]
        for part in parts:
            numbered = [dataclasses.replace(each, member=next(members)) for each in part.members]
            how = (part.phase, division.executor, _padded_size(part, parts))
            chunks.append(PlannedChunk(next(numbers), *workload, arm.name, arm.optimizer, *how, numbered))
    tuned = config.study.mode == "tuned"
    spaces = {arm.name: {key: entry.search_space() for key, entry in arm.space().items()} for arm in arms}
    return Plan(chunks, spaces if tuned else {})


def final_seeds(config: ConfigDict) -> list[int]:
    """Returns the seeds of the final runs, the same for every arm."""
    return [(config.seed + i) % _SEEDS for i in range(config.study.seeds)]


def tuning_seeds(config: ConfigDict) -> list[int]:
    """Returns the seeds of the trials, the same for every arm and none of `final_seeds`; none in quick mode.

    Each trial has its own, so that trials are independent draws of settings and seed.
    """
    trials = config.study.trials if config.study.mode == "tuned" else 0
    return [(config.seed + _FIRST_TUNING_SEED + i) % _SEEDS for i in range(trials)]


class _Part(NamedTuple):
    """Runs of a phase that one program can train, not yet numbered."""

    phase: str
    members: Sequence[PlannedMember]


def _runs(config: ConfigDict, arm: Arm) -> list[_Part]:
    study = config.study
    if study.mode == "quick":
        return [_Part(FINAL, [PlannedMember(0, 0, seed, arm.defaults()) for seed in final_seeds(config)])]
    settings = trial_settings(arm, study.trials, study.search, config.seed)
    seeded = enumerate(zip(tuning_seeds(config), settings, strict=False))  # an arm with nothing to search has one
    trials = [PlannedMember(0, i, seed, numbers) for i, (seed, numbers) in seeded]
    final = [PlannedMember(0, None, seed, None) for seed in final_seeds(config)]
    return [*_of_one_program(trials), _Part(FINAL, final)]


def _of_one_program(trials: Iterable[PlannedMember]) -> Iterator[_Part]:
    """Divides trials where another hyperparameter comes in, as one does whose default, 0, leaves it out."""
    for _, members in itertools.groupby(trials, key=lambda member: tuple(member.hyperparameters or ())):
        yield _Part(TUNE, list(members))


def _divided(part: _Part, sizes: Callable[[int], Sequence[int]]) -> Iterator[_Part]:
    members = iter(part.members)
    for size in sizes(len(part.members)):
        yield _Part(part.phase, list(itertools.islice(members, size)))


def _padded_size(part: _Part, parts: Sequence[_Part]) -> int:
    """For how many runs to compile: one program for both phases, unless more than half of it would be idle in one."""
    largest = max(len(each.members) for each in parts)
    of_phase = max(len(each.members) for each in parts if each.phase == part.phase)
    return largest if 2 * of_phase >= largest else of_phase


def write_plan(path: Path, plan: Plan) -> None:
    """Writes the plan, whole or not at all."""
    write_atomically(path, (json.dumps(dataclasses.asdict(plan), indent=1, allow_nan=False) + "\n").encode())


def read_plan(path: Path) -> Plan:
    """Returns what `write_plan` wrote; raises `WorkdirError` where it is damaged."""
    try:
        found = json.loads(path.read_text())
        chunks = [
            PlannedChunk(**{**chunk, "members": [PlannedMember(**member) for member in chunk["members"]]})
            for chunk in found["chunks"]
        ]
        plan = Plan(chunks, found["spaces"])
    except (OSError, UnicodeDecodeError, ValueError, KeyError, TypeError) as error:
        raise WorkdirError(f"{path} is missing or damaged ({error}); restore it, or take another --workdir") from None
    if [chunk.chunk for chunk in plan.chunks] != list(range(len(plan.chunks))):
        raise WorkdirError(f"{path} is damaged (its chunks are not in order); restore it, or take another --workdir")
    return plan
