"""From a study to all of its figures, and these as plain JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fmnist_jax.compare.analysis.across import Across, across
from fmnist_jax.compare.analysis.study import Study
from fmnist_jax.compare.analysis.workload import WorkloadFigures, workload_figures


@dataclasses.dataclass(frozen=True)
class Totals:
    """Runs of both phases, and the seconds of wall time that their chunks took.

    **Attributes:**

    - `planned`, `trained`: runs; `trials`, `finals`: those trained, by phase.
    - `failed_trials`, `failed_finals`: those of them that diverged.
    """

    planned: int
    trained: int
    trials: int
    finals: int
    failed_trials: int
    failed_finals: int
    train_seconds: float
    eval_seconds: float
    compile_seconds: float


@dataclasses.dataclass(frozen=True)
class Analysis:
    """The figures of a study: of each workload, in the order of the plan, and `across` them, where there are several.

    `score` is what the arms are compared by: `"test_accuracy"` or `"val_accuracy"`, after the last epoch.
    """

    score: str
    workloads: Sequence[WorkloadFigures]
    across: Across | None
    totals: Totals

    @property
    def complete(self) -> bool:
        """Whether everything that was planned is there."""
        return not any(workload.missing for workload in self.workloads)


def analyse(study: Study) -> Analysis:
    """Returns the figures of the study, as far as it has been trained."""
    workloads = [workload_figures(workload, study) for workload in study.workloads]
    score = "test_accuracy" if study.design.score_test else "val_accuracy"
    return Analysis(score, workloads, across(workloads, study.design.arms), _totals(study))


def _totals(study: Study) -> Totals:
    cells = [cell for workload in study.workloads for cell in workload.cells]
    trials = [member.diverged for cell in cells for member in cell.trials]
    finals = [member.diverged for cell in cells for member in cell.finals]
    chunks = study.chunks.values()
    return Totals(
        planned=sum(cell.planned_trials + cell.planned_finals for cell in cells),
        trained=len(trials) + len(finals),
        trials=len(trials),
        finals=len(finals),
        failed_trials=sum(trials),
        failed_finals=sum(finals),
        train_seconds=sum(chunk.train_seconds for chunk in chunks),
        eval_seconds=sum(chunk.eval_seconds for chunk in chunks),
        compile_seconds=sum(chunk.compile_seconds for chunk in chunks),
    )


def plain(value: Any) -> Any:
    """Returns figures as what JSON knows: dicts, lists, strings and numbers, those that are not finite among them."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if hasattr(value, "_asdict"):
        return plain(value._asdict())
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value
