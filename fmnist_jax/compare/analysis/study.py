"""A study as far as it has been trained: its design and its runs by workload and arm, from the files of its workdir."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from fmnist_jax.compare.config import Mode
from fmnist_jax.compare.planned import Addition, SearchRange
from fmnist_jax.compare.records import FINAL, TUNE, Cell, ChunkTiming, Phase, TrainedRun, Workload, all_workloads
from fmnist_jax.compare.results import CHUNKS, PLAN, RESULTS, read_plan, read_runs, read_timings
from fmnist_jax.compare.trials import Trial, trials_of
from fmnist_jax.data import FASHION_MNIST
from fmnist_jax.errors import WorkdirError, command
from fmnist_jax.files.reader import WorkdirReader


class ArmRuns(NamedTuple):
    """The runs of an arm under a workload.

    **Attributes:**

    - `tuning`: its tuning runs, in order; `finals`: its final runs, in order of their seeds.
    - `planned_tuning`, `planned_finals`: how many there are to be.
    """

    arm: str
    tuning: Sequence[TrainedRun]
    finals: Sequence[TrainedRun]
    planned_tuning: int
    planned_finals: int

    @property
    def trials(self) -> list[Trial]:
        return trials_of(self.tuning)


class WorkloadRuns(NamedTuple):
    """A workload, with the runs of each arm of the study; its fields are those of `records.Workload`."""

    model: str
    epochs: int
    schedule: str
    dataset: str
    arms: Sequence[ArmRuns]

    @property
    def name(self) -> str:
        return Workload(self.model, self.epochs, self.schedule, self.dataset).name

    @property
    def chance(self) -> float:
        """The accuracy of a guess."""
        runs = (run for arm in self.arms for run in (*arm.tuning, *arm.finals))
        return next((run.last.chance for run in runs), 1 / FASHION_MNIST.num_classes)


@dataclasses.dataclass(frozen=True)
class Design:
    """The `study` section of the config: what was to be trained.

    **Attributes:**

    - `optimizers`: the arms; `datasets`: empty where the study has that of `config.data.name` alone.
    - `seeds`: final runs of each arm under each workload; `trials`: in tuned mode, the trials of each arm that has
      something to tune, each with `seeds_per_trial` runs.
    - `halving`: 1 / so many of the trials go on at each rung; 0: all are trained to the end.
    - `batch_sizes`, `warmups`, `weight_decays`: the lists that are searched beside the arms' own ranges.
    - `targets`: validation accuracies, fixed beforehand, to which time and steps are measured, ascending.
    - `confidence`: of every interval.
    """

    mode: Mode
    optimizers: Sequence[str]
    models: Sequence[str]
    epochs: Sequence[int]
    schedules: Sequence[str]
    seeds: int
    trials: int
    search: str
    targets: Sequence[float]
    score_test: bool
    confidence: float
    datasets: Sequence[str] = ()
    seeds_per_trial: int = 1
    halving: int = 0
    batch_sizes: Sequence[int] = ()
    warmups: Sequence[str] = ()
    weight_decays: Sequence[float] = ()

    @property
    def arms(self) -> Sequence[str]:
        return self.optimizers

    @property
    def tuned(self) -> bool:
        return self.mode == "tuned"


class Study(NamedTuple):
    """A study as far as it has been trained.

    **Attributes:**

    - `workloads`: all that were planned, with or without runs so far.
    - `chunks`: the timings of all chunks with runs, by the chunk's number.
    - `spaces`: arm -> hyperparameter -> where tuning looked; empty in quick mode.
    - `additions`: the arms and seeds that were added after the start.
    - `config`, `manifest`: the files; `manifest` is `None` where it is missing.
    """

    design: Design
    workloads: Sequence[WorkloadRuns]
    chunks: Mapping[int, ChunkTiming]
    spaces: Mapping[str, Mapping[str, SearchRange]]
    additions: Sequence[Addition]
    config: Mapping[str, Any]
    manifest: Mapping[str, Any] | None

    @property
    def validation_is_test(self) -> bool:
        """Whether the validation split is the test set, so that "validation" figures are the test set's."""
        data = self.config.get("data")
        return isinstance(data, Mapping) and data.get("val_examples") == 0

    def scored_examples(self, dataset: str = "") -> int | None:
        """Returns how many images of a workload's data set the score is of; `None` where the manifest does not say."""
        several = _within(self.manifest, "datasets")
        counts = _within(_within(several, dataset) or _within(self.manifest, "data"), "examples")
        found = counts.get("test" if self.design.score_test or self.validation_is_test else "val")
        return found if type(found) is int and found > 0 else None

    @property
    def metrics(self) -> Sequence[str]:
        """The metrics beside accuracy, of the split that the score is of: `"val_ece"`."""
        names, split = _within(self.config, "eval").get("metrics"), "test" if self.design.score_test else "val"
        return [f"{split}_{name}" for name in names] if isinstance(names, list) else []

    @property
    def data(self) -> str:
        """The name of the data set, or of all."""
        if self.design.datasets:
            return ", ".join(self.design.datasets)
        named = (_within(found, "data").get("name") for found in (self.manifest, self.config))
        return next((str(name) for name in named if name), "unknown")


def _within(values: Mapping[str, Any] | None, key: str) -> Mapping[str, Any]:
    found = (values or {}).get(key)
    return found if isinstance(found, Mapping) else {}


def read_study(workdir: Path) -> Study:
    """Returns the study in `workdir`, as far as it has been trained; raises `WorkdirError` for a damaged file.

    Runs that have not ended, and an incomplete last line, are left out: their chunk was interrupted, and will be
    trained again. Only `manifest.json` may be missing.
    """
    if not workdir.is_dir():
        raise WorkdirError(f"{workdir} is not a folder; give the workdir of a study of {command('compare')}")
    reader = WorkdirReader(
        workdir, f"run {command('compare')} with --workdir={workdir}, or with a new one to start over"
    )
    config = reader.object("config.json")
    if not isinstance(config.get("study"), dict):
        raise reader.error("config.json", "has no section 'study', so this is not the workdir of a study")
    design = reader.record(Design, config["study"], "config.json", "section 'study' ")
    design = dataclasses.replace(design, targets=tuple(sorted(design.targets)))
    plan = read_plan(reader)
    planned: Counter[tuple[Cell, Phase]] = Counter()
    for chunk in plan.chunks:
        planned[chunk.cell, chunk.phase] += len(chunk.members)
    runs = _group(reader, design, planned)
    manifest = reader.object("manifest.json") if reader.has("manifest.json") else None
    timings = {timing.chunk: timing for timing in read_timings(reader)}
    used = {run.last.chunk for group in runs.values() for run in group}
    if lacking := used - timings.keys():  # a chunk's timing is written before its runs
        raise reader.error(CHUNKS, f"lacks chunk {min(lacking)}, which has results")
    chunks = {number: timing for number, timing in timings.items() if number in used}
    return Study(design, _workloads(design, planned, runs), chunks, plan.spaces, plan.additions, config, manifest)


_Runs = Mapping[tuple[Cell, Phase], Sequence[TrainedRun]]


def _group(reader: WorkdirReader, design: Design, planned: Counter[tuple[Cell, Phase]]) -> _Runs:
    """Returns the runs by cell and phase, in order of trial and seed; raises `WorkdirError` for one not in the plan."""
    groups: defaultdict[tuple[Cell, Phase], list[TrainedRun]] = defaultdict(list)
    for run in sorted(read_runs(reader), key=lambda run: (run.trial, run.seed)):
        wanted = design.score_test and run.last.phase == FINAL and not run.diverged
        if wanted and not math.isfinite(run.final_test_accuracy):
            raise reader.error(RESULTS, f"lacks the test accuracy of member {run.last.member}, a final run")
        groups[run.last.cell, run.last.phase].append(run)
    for (cell, phase), found in groups.items():
        if len(found) > planned[cell, phase]:
            raise reader.error(RESULTS, f"holds runs of {cell.arm!r} ({phase}) that are not in {PLAN}")
        seed, times = Counter(run.seed for run in found).most_common(1)[0]
        if times > 1:
            raise reader.error(RESULTS, f"holds two runs of {cell.arm!r} ({phase}) with seed {seed}")
    return groups


def _workloads(design: Design, planned: Counter[tuple[Cell, Phase]], runs: _Runs) -> list[WorkloadRuns]:
    def arm_runs(cell: Cell) -> ArmRuns:
        tune, final = (cell, TUNE), (cell, FINAL)
        return ArmRuns(cell.arm, runs.get(tune, []), runs.get(final, []), planned[tune], planned[final])

    keys = all_workloads(design.datasets, design.models, design.epochs, design.schedules)
    return [WorkloadRuns(*key, [arm_runs(Cell(key, arm)) for arm in design.arms]) for key in keys]
