"""Reads the workdir of a study, finished or not; nothing of it is believed unchecked."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fmnist_jax.compare.analysis.study import Cell, Chunk, Curve, Design, Member, Study, Workload
from fmnist_jax.errors import WorkdirError
from fmnist_jax.reading import Folder

RESULTS, CHUNKS = "results.jsonl", "chunks.jsonl"
MODES, PHASES = ("quick", "tuned"), ("tune", "final")

_LISTS: Mapping[str, tuple[type, ...]] = {
    "optimizers": (str,),
    "models": (str,),
    "epochs": (int,),
    "schedules": (str,),
    "targets": (int, float),
}

_Key = tuple[str, int, str, str]  # of a cell: model, epochs, schedule, arm


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
    def cell(self) -> _Key:
        return self.model, self.epochs, self.schedule, self.arm

    @property
    def member_of(self) -> tuple[object, ...]:
        """What is the same on every line of a member."""
        return self.cell, self.phase, self.trial, self.seed, self.chunk

    @property
    def diverged(self) -> bool:
        return not (math.isfinite(self.train_loss) and math.isfinite(self.val_loss))


def read_study(workdir: Path) -> Study:
    """Returns the study in `workdir`, as far as it has been trained; raises `WorkdirError` for a damaged file.

    Members that have not ended, and a last line that was not written to its end, are left out: their chunk was cut
    short, and will be trained again. `manifest.json` and `chunks.jsonl` may be missing.
    """
    if not workdir.is_dir():
        raise WorkdirError(f"{workdir} is no folder; give the workdir of a study of scripts/compare.py")
    folder = Folder(workdir, f"run scripts/compare.py with --workdir={workdir}, or with a new one to start over")
    config = folder.object("config.json")
    section = _study_section(folder, config)
    members = _read_members(folder)
    design = _design(folder, section)
    keys = itertools.product(section["models"], section["epochs"], section["schedules"])
    workloads = [_workload(key, design.arms, members) for key in keys]
    planned = sum(len(cell.trials) + len(cell.finals) for workload in workloads for cell in workload.cells)
    if planned != sum(map(len, members.values())):
        raise folder.error(RESULTS, "holds runs that are not of the study in config.json")
    manifest = folder.object("manifest.json") if folder.has("manifest.json") else None
    return Study(design, workloads, _read_chunks(folder), config, manifest)


def _study_section(folder: Folder, config: Mapping[str, Any]) -> Mapping[str, Any]:
    section = config.get("study")
    if not isinstance(section, Mapping):
        raise folder.error("config.json", "has no section 'study', so this is the workdir of no study")
    for name, kinds in _LISTS.items():
        values = section.get(name)
        if not isinstance(values, list) or not all(type(value) in kinds for value in values):
            raise folder.error("config.json", f"has study.{name} = {values!r:.60}, which is no list of its kind")
    return section


def _design(folder: Folder, section: Mapping[str, Any]) -> Design:
    values = dict(section) | {"arms": tuple(section["optimizers"]), "targets": tuple(sorted(section["targets"]))}
    scalars = folder.record(_Scalars, values, "config.json")
    if scalars.mode not in MODES:
        raise folder.error("config.json", f"has study.mode = {scalars.mode!r}, which is not {' or '.join(MODES)}")
    if scalars.mode == "quick":
        scalars = dataclasses.replace(scalars, trials=0)
    return Design(arms=values["arms"], targets=values["targets"], **dataclasses.asdict(scalars))


@dataclasses.dataclass(frozen=True)
class _Scalars:
    mode: str
    seeds: int
    trials: int
    search: str
    score_test: bool
    confidence: float


def _workload(key: tuple[str, int, str], arms: Sequence[str], members: Mapping[Any, list[Member]]) -> Workload:
    cells = [Cell(arm, members.get((*key, arm, "tune"), ()), members.get((*key, arm, "final"), ())) for arm in arms]
    return Workload(*key, cells)


def _read_members(folder: Folder) -> dict[tuple[str, int, str, str, str], list[Member]]:
    """Returns the members that have ended, by cell and phase, in order of trial and seed."""
    lines: dict[int, list[tuple[_Line, Mapping[str, float]]]] = defaultdict(list)
    for values in _objects(folder, RESULTS):
        line = folder.record(_Line, values, RESULTS)
        lines[line.member].append((line, _hyperparameters(folder, values)))
    members: dict[tuple[str, int, str, str, str], list[Member]] = defaultdict(list)
    for found in lines.values():
        first, last = found[0][0], found[-1][0]
        _check_member(folder, [line for line, _ in found])
        if last.epoch == last.epochs or last.diverged:
            members[*first.cell, first.phase].append(_member([line for line, _ in found], found[0][1]))
    for cell in members.values():
        cell.sort(key=lambda member: (member.trial, member.seed))
    return members


def _objects(folder: Folder, name: str) -> list[dict[str, Any]]:
    return folder.objects(name, torn=True) if folder.has(name) else []


def _hyperparameters(folder: Folder, values: Mapping[str, Any]) -> Mapping[str, float]:
    found = values.get("hyperparameters")
    if not isinstance(found, dict) or not all(type(number) in (int, float) for number in found.values()):
        raise folder.error(RESULTS, f"has hyperparameters = {found!r:.60}, which is not name: number")
    return found


def _check_member(folder: Folder, lines: Sequence[_Line]) -> None:
    number = lines[0].member
    if len({line.member_of for line in lines}) > 1:
        raise folder.error(RESULTS, f"has lines of different runs as member {number}")
    if lines[0].phase not in PHASES:
        raise folder.error(RESULTS, f"has phase = {lines[0].phase!r}, which is not {' or '.join(PHASES)}")
    if [line.epoch for line in lines] != list(range(1, len(lines) + 1)) or len(lines) > lines[0].epochs:
        raise folder.error(RESULTS, f"does not count the epochs of member {number} upward from 1 to its budget")
    if any(line.diverged for line in lines[:-1]):
        raise folder.error(RESULTS, f"goes on after member {number} diverged")


def _member(lines: Sequence[_Line], hyperparameters: Mapping[str, float]) -> Member:
    names = [field.name for field in dataclasses.fields(Curve)]
    curve = Curve(**{name: np.array([getattr(line, name) for line in lines], float) for name in names})
    last = lines[-1]
    return Member(
        last.member, last.chunk, last.trial, last.seed, hyperparameters, curve, last.test_loss, last.test_accuracy
    )


def _read_chunks(folder: Folder) -> dict[int, Chunk]:
    chunks: Iterable[Chunk] = (folder.record(Chunk, values, CHUNKS) for values in _objects(folder, CHUNKS))
    return {chunk.chunk: chunk for chunk in chunks}
