"""From the outcome of a trained chunk to the records of its runs and of what it took."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from fmnist_jax import data
from fmnist_jax.compare.planned import PlannedChunk, PlannedRun
from fmnist_jax.compare.records import ChunkTiming, RunEpoch, TrainedRun
from fmnist_jax.train.epochs import other_metrics
from fmnist_jax.train.population import Outcome


def trained_runs(
    chunk: PlannedChunk, outcome: Outcome, classes: int = data.FASHION_MNIST.num_classes
) -> list[TrainedRun]:
    """Returns the runs of a chunk, which has the settings of all of them, from its outcome; `classes`: of the data."""
    names = {field.name for field in dataclasses.fields(RunEpoch)}
    runs = []
    for run, history in zip(chunk.members, outcome.histories, strict=True):
        epochs = []
        for record, train, evaluation in zip(history, outcome.train_seconds, outcome.eval_seconds, strict=False):
            values = vars(chunk) | vars(run) | {name: math.nan if v is None else v for name, v in record.items()}
            values["metrics"] = other_metrics(values)
            members = len(chunk.members)
            values |= {"classes": classes, "train_seconds": train / members, "eval_seconds": evaluation / members}
            epochs.append(RunEpoch(**{name: value for name, value in values.items() if name in names}))
        runs.append(TrainedRun(epochs))
    return runs


def by_program(chunk: PlannedChunk) -> list[PlannedChunk]:
    """Returns the chunk in parts that one program each can train: several only where trials of a kind each go on."""
    runs: dict[tuple[object, ...], list[PlannedRun]] = {}
    for run in chunk.members:
        runs.setdefault(run.program, []).append(run)
    if len(runs) == 1:
        return [chunk]
    return [dataclasses.replace(chunk, members=own, padded_size=len(own)) for own in runs.values()]


def chunk_timing(chunk: PlannedChunk, outcomes: Sequence[Outcome]) -> ChunkTiming:
    """Returns what the training of a chunk took, whose parts have these outcomes, one after the other."""
    return ChunkTiming(
        chunk.chunk,
        len(chunk.members),
        sum(outcome.compile_seconds for outcome in outcomes),
        sum(sum(outcome.train_seconds) for outcome in outcomes),
        sum(sum(outcome.eval_seconds) for outcome in outcomes),
        outcomes[0].executor,
        outcomes[0].device,
        outcomes[0].parameter_bytes,
        outcomes[0].optimizer_bytes,
    )
