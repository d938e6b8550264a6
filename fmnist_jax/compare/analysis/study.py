"""What a study's files say, as values: its design, and every member that was trained, in workloads and cells."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from fmnist_jax.errors import WorkdirError
from fmnist_jax.files.reader import WorkdirReader

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
class TrainedRun:
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
class ArmRuns:
    """An arm under a workload.

    **Attributes:**

    - `trials`: its tuning runs, in order; `finals`: its final ones, in order of their seeds.
    - `planned_trials`, `planned_finals`: how many there are to be.
    """

    arm: str
    trials: Sequence[TrainedRun]
    finals: Sequence[TrainedRun]
    planned_trials: int
    planned_finals: int


@dataclasses.dataclass(frozen=True)
class WorkloadRuns:
    """A model, a budget in epochs and a schedule, with the runs of each arm of the study."""

    model: str
    epochs: int
    schedule: str
    arms: Sequence[ArmRuns]

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
    workloads: Sequence[WorkloadRuns]
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


PLAN, RESULTS, CHUNKS = "plan.json", "results.jsonl", "chunks.jsonl"
MODES, PHASES = ("quick", "tuned"), ("tune", "final")

_LISTS: Mapping[str, tuple[type, ...]] = {
    "optimizers": (str,),
    "models": (str,),
    "epochs": (int,),
    "schedules": (str,),
    "targets": (int, float),
}

_Part = tuple[str, int, str, str, str]  # model, epochs, schedule, arm and phase
_Runs = Mapping[_Part, list[TrainedRun]]


@dataclasses.dataclass(frozen=True)
class _Line:
    """A line of `results.jsonl`, but for its hyperparameters."""

    model: str
    epochs: int
    schedule: str
    arm: str
    phase: str
    trial: int
    seed: int
    member: int
    chunk: int
    epoch: int
    step: int
    train_loss: float
    train_accuracy: float
    val_loss: float
    val_accuracy: float
    train_seconds: float
    eval_seconds: float
    test_loss: float = math.nan
    test_accuracy: float = math.nan

    @property
    def part(self) -> _Part:
        return self.model, self.epochs, self.schedule, self.arm, self.phase

    @property
    def fixed(self) -> tuple[object, ...]:
        """What is the same on every line of a member."""
        return self.part, self.trial, self.seed, self.chunk

    @property
    def diverged(self) -> bool:
        return not (math.isfinite(self.train_loss) and math.isfinite(self.val_loss))


def read_study(workdir: Path) -> Study:
    """Returns the study in `workdir`, as far as it has been trained; raises `WorkdirError` for a damaged file.

    Members that have not ended, and a last line that was not written to its end, are left out: their chunk was cut
    short, and will be trained again. Only `manifest.json` may be missing.
    """
    if not workdir.is_dir():
        raise WorkdirError(f"{workdir} is no folder; give the workdir of a study of scripts/compare.py")
    folder = WorkdirReader(workdir, f"run scripts/compare.py with --workdir={workdir}, or with a new one to start over")
    config = folder.object("config.json")
    section = _study_section(folder, config)
    design, plan = _design(folder, section), folder.object(PLAN)
    planned, members = _planned(folder, plan), _read_members(folder, design)
    keys = list(itertools.product(section["models"], section["epochs"], section["schedules"]))
    workloads = [_workload(key, design.arms, planned, members) for key in keys]
    _check_planned(folder, members, planned)
    manifest = folder.object("manifest.json") if folder.has("manifest.json") else None
    return Study(design, workloads, _read_chunks(folder, members), _spaces(folder, plan), config, manifest)


def _study_section(folder: WorkdirReader, config: Mapping[str, Any]) -> Mapping[str, Any]:
    section = config.get("study")
    if not isinstance(section, Mapping):
        raise folder.error("config.json", "has no section 'study', so this is the workdir of no study")
    for name, kinds in _LISTS.items():
        values = section.get(name)
        if not isinstance(values, list) or not all(type(value) in kinds for value in values):
            raise folder.error("config.json", f"has study.{name} = {values!r:.60}, which is no list of its kind")
    return section


def _design(folder: WorkdirReader, section: Mapping[str, Any]) -> Design:
    values = dict(section) | {"arms": tuple(section["optimizers"]), "targets": tuple(sorted(section["targets"]))}
    scalars = folder.record(_Scalars, values, "config.json")
    if scalars.mode not in MODES:
        raise folder.error("config.json", f"has study.mode = {scalars.mode!r}, which is not {' or '.join(MODES)}")
    return Design(arms=values["arms"], targets=values["targets"], **dataclasses.asdict(scalars))


@dataclasses.dataclass(frozen=True)
class _Scalars:
    mode: str
    seeds: int
    trials: int
    search: str
    score_test: bool
    confidence: float


def _planned(folder: WorkdirReader, plan: Mapping[str, Any]) -> Counter[_Part]:
    """Returns how many members the plan has of each cell and phase."""
    planned: Counter[_Part] = Counter()
    chunks = plan.get("chunks")
    for chunk in chunks if isinstance(chunks, list) else [None]:
        if not isinstance(chunk, dict) or not isinstance(chunk.get("members"), list):
            raise folder.error(PLAN, "has no list of chunks with their members")
        line = folder.record(_PlannedChunk, chunk, PLAN)
        planned[line.model, line.epochs, line.schedule, line.arm, line.phase] += len(chunk["members"])
    return planned


@dataclasses.dataclass(frozen=True)
class _PlannedChunk:
    model: str
    epochs: int
    schedule: str
    arm: str
    phase: str


def _spaces(folder: WorkdirReader, plan: Mapping[str, Any]) -> dict[str, dict[str, SearchRange]]:
    spaces = plan.get("spaces")
    if not isinstance(spaces, dict) or not all(isinstance(space, dict) for space in spaces.values()):
        raise folder.error(PLAN, "does not say what is searched")
    return {arm: {name: _range(folder, name, found) for name, found in space.items()} for arm, space in spaces.items()}


@dataclasses.dataclass(frozen=True)
class _Bounds:
    default: float
    low: float
    high: float


def _range(folder: WorkdirReader, name: str, values: Any) -> SearchRange:
    scale = values.get("scale") if isinstance(values, dict) else None
    if scale not in ("log", "log1m", "linear"):
        raise folder.error(PLAN, f"does not say how {name} is searched")
    return SearchRange(**dataclasses.asdict(folder.record(_Bounds, values, PLAN)), scale=scale)


def _workload(
    key: tuple[str, int, str],
    arms: Sequence[str],
    planned: Mapping[_Part, int],
    members: _Runs,
) -> WorkloadRuns:
    cells = []
    for arm in arms:
        tune, final = (*key, arm, "tune"), (*key, arm, "final")
        found = (members.get(tune, []), members.get(final, []), planned.get(tune, 0), planned.get(final, 0))
        cells.append(ArmRuns(arm, *found))
    return WorkloadRuns(*key, cells)


def _check_planned(folder: WorkdirReader, members: _Runs, planned: Mapping[_Part, int]) -> None:
    for part, found in members.items():
        if len(found) > planned.get(part, 0):
            raise folder.error(RESULTS, f"holds runs of {part[3]!r} ({part[4]}) that are not in {PLAN}")
        repeated = [member.seed for member in found if sum(other.seed == member.seed for other in found) > 1]
        if repeated:
            raise folder.error(RESULTS, f"holds two runs of {part[3]!r} ({part[4]}) with seed {repeated[0]}")


def _read_members(folder: WorkdirReader, design: Design) -> dict[_Part, list[TrainedRun]]:
    """Returns the members that have ended, by cell and phase, in order of trial and seed."""
    lines: dict[int, list[tuple[_Line, Mapping[str, float]]]] = defaultdict(list)
    for values in _objects(folder, RESULTS):
        line = folder.record(_Line, values, RESULTS)
        lines[line.member].append((line, _hyperparameters(folder, values)))
    members: dict[_Part, list[TrainedRun]] = defaultdict(list)
    for found in lines.values():
        own, last = [line for line, _ in found], found[-1][0]
        _check_member(folder, own)
        if last.epoch == last.epochs or last.diverged:
            _check_scored(folder, last, design)
            members[last.part].append(_member(own, found[0][1]))
    for part in members.values():
        part.sort(key=lambda member: (member.trial, member.seed))
    return dict(members)


def _check_scored(folder: WorkdirReader, last: _Line, design: Design) -> None:
    wanted = design.score_test and last.phase == "final" and not last.diverged
    if wanted and not math.isfinite(last.test_accuracy):
        raise folder.error(RESULTS, f"lacks the test accuracy of member {last.member}, a final run")


def _objects(folder: WorkdirReader, name: str) -> list[dict[str, Any]]:
    return folder.objects(name, allow_partial_tail=True) if folder.has(name) else []


def _hyperparameters(folder: WorkdirReader, values: Mapping[str, Any]) -> Mapping[str, float]:
    found = values.get("hyperparameters")
    if not isinstance(found, dict) or not all(type(number) in (int, float) for number in found.values()):
        raise folder.error(RESULTS, f"has hyperparameters = {found!r:.60}, which is not name: number")
    return found


def _check_member(folder: WorkdirReader, lines: Sequence[_Line]) -> None:
    number = lines[0].member
    if len({line.fixed for line in lines}) > 1:
        raise folder.error(RESULTS, f"has lines of different runs as member {number}")
    if lines[0].phase not in PHASES:
        raise folder.error(RESULTS, f"has phase = {lines[0].phase!r}, which is not {' or '.join(PHASES)}")
    if [line.epoch for line in lines] != list(range(1, len(lines) + 1)) or len(lines) > lines[0].epochs:
        raise folder.error(RESULTS, f"does not count the epochs of member {number} upward from 1 to its budget")
    if any(line.diverged for line in lines[:-1]):
        raise folder.error(RESULTS, f"goes on after member {number} diverged")


def _member(lines: Sequence[_Line], hyperparameters: Mapping[str, float]) -> TrainedRun:
    names = [field.name for field in dataclasses.fields(Curve)]
    curve = Curve(**{name: np.array([getattr(line, name) for line in lines], float) for name in names})
    last = lines[-1]
    return TrainedRun(
        last.member, last.chunk, last.trial, last.seed, hyperparameters, curve, last.test_loss, last.test_accuracy
    )


def _read_chunks(folder: WorkdirReader, members: _Runs) -> dict[int, Chunk]:
    """Returns the chunks with members; that of one that was cut short is written before them."""
    finished = {member.chunk for part in members.values() for member in part}
    chunks = [folder.record(Chunk, values, CHUNKS) for values in _objects(folder, CHUNKS)]
    if lacking := finished - {chunk.chunk for chunk in chunks}:
        raise folder.error(CHUNKS, f"lacks chunk {min(lacking)}, of which there are results")
    return {chunk.chunk: chunk for chunk in chunks if chunk.chunk in finished}
