"""What follows from the measured times: rates, ratios with their spread, the share of the roofline."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from fmnist_jax.benchmark import roofline
from fmnist_jax.benchmark.architecture import Problem
from fmnist_jax.benchmark.contenders import CONTENDERS
from fmnist_jax.benchmark.task import EVAL_BATCH

TASKS = ("train", "evaluate")
_PEERS = ("keras", "torch")


class Spread(NamedTuple):
    """The median of repeated measurements, the lowest and the highest."""

    median: float
    low: float
    high: float


def spread(values: Sequence[float]) -> Spread:
    """Returns the spread of the values."""
    return Spread(statistics.median(values), min(values), max(values))


def rates(record: Mapping[str, Any], task: str) -> list[float]:
    """Returns the work a second in each measurement of a contender's task, none where it was not measured."""
    if record["status"] != "measured" or task not in record["tasks"]:
        return []
    measured = record["tasks"][task]
    return [measured["work"] / seconds for seconds in measured["seconds"]]


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> Spread | None:
    """Returns how many times as fast ours is, by pairs of measurements of the same turn; `None` where one has none."""
    if not ours or not theirs:
        return None
    return spread([a / b for a, b in zip(ours, theirs, strict=True)])


def summarise(problem: Problem, model: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the figures of a model's record, by task: everyone's rates, our ratios, the share of the roofline.

    Where we were not measured there are no ratios and no share; where no peer was, no `fastest_peer`.
    """
    return {task: _summary(problem, model, task) for task in TASKS}


def _summary(problem: Problem, model: Mapping[str, Any], task: str) -> dict[str, Any]:
    measured = {name: rates(record, task) for name, record in model["contenders"].items()}
    measured = {name: values for name, values in measured.items() if values}
    ours = measured.get("ours", [])
    peers = [name for name in measured if CONTENDERS[name].framework in _PEERS]
    fastest = max(peers, key=lambda name: statistics.median(measured[name]), default=None)
    against = {name: ratios(ours, values) for name, values in measured.items() if ours and name != "ours"}
    return {
        "examples_per_second": {name: spread(values)._asdict() for name, values in measured.items()},
        "ours_times_as_fast_as": {name: ratio._asdict() for name, ratio in against.items() if ratio},
        "fastest_peer": fastest,
        "roofline": _roofline(problem, model["machine"], task, ours),
    }


def _roofline(problem: Problem, machine: Mapping[str, Any], task: str, ours: Sequence[float]) -> dict[str, Any] | None:
    flop_rates, bandwidths = rates(machine, "matmul"), rates(machine, "copy")
    if not (ours and flop_rates and bandwidths):
        return None
    if task == "train":
        flops, traffic = roofline.training_flops(problem.architecture), roofline.training_bytes(problem)
    else:
        flops = roofline.evaluation_flops(problem.architecture)
        traffic = roofline.evaluation_bytes(problem, EVAL_BATCH)
    ceilings = [roofline.ceiling(flops, traffic, *turn) for turn in zip(flop_rates, bandwidths, strict=True)]
    reached = spread([speed / ceiling for speed, ceiling in zip(ours, ceilings, strict=True)])
    return {
        "flops_per_example": flops,
        "bytes_per_example": traffic,
        "machine_flops_per_second": statistics.median(flop_rates),
        "machine_bytes_per_second": statistics.median(bandwidths),
        "ceiling_examples_per_second": statistics.median(ceilings),
        "reached": reached._asdict(),
    }
