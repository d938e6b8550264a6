"""What follows from the measured times: rates, paired ratios with their range, the share of the roofline."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from fmnist_jax.benchmark.candidates import CANDIDATES
from fmnist_jax.benchmark.problem import Problem

TASKS = ("train", "evaluate")
Spread = dict[str, float]


def spread(values: Sequence[float]) -> Spread:
    """Returns the `median` of repeated measurements, the `low`est and the `high`est."""
    return {"median": statistics.median(values), "low": min(values), "high": max(values)}


def rates(record: Mapping[str, Any], task: str) -> list[float]:
    """Returns the work per second of each measurement of a candidate's task; empty where it was not measured."""
    if record["status"] != "measured" or task not in record["tasks"]:
        return []
    measured = record["tasks"][task]
    return [measured["work"] / seconds for seconds in measured["seconds"]]


def ratios(rates: Sequence[float], reference: Sequence[float]) -> Spread | None:
    """Returns the spread of the ratios of measurements of the same turn; `None` where one side was not measured."""
    return spread([a / b for a, b in zip(rates, reference, strict=True)]) if rates and reference else None


def summarise(problem: Problem, model: Mapping[str, Any]) -> dict[str, Any]:
    """Returns by task everyone's examples per second, our speedup over each, the fastest peer, and our roofline share.

    What was not measured is missing: a candidate, or `None` for the fastest of Keras and PyTorch and for the roofline.
    """
    return {task: _summary(problem, model, task) for task in TASKS}


def _summary(problem: Problem, model: Mapping[str, Any], task: str) -> dict[str, Any]:
    measured = {name: found for name, record in model["candidates"].items() if (found := rates(record, task))}
    ours = measured.get("ours", [])
    peers = [name for name in measured if CANDIDATES[name].framework in ("keras", "torch")]
    return {
        "examples_per_second": {name: spread(values) for name, values in measured.items()},
        "speedup_over": {name: ratios(ours, values) for name, values in measured.items() if ours and name != "ours"},
        "fastest_peer": max(peers, key=lambda name: statistics.median(measured[name]), default=None),
        "roofline": _roofline(problem, model["machine"], task, ours),
    }


def _roofline(problem: Problem, machine: Mapping[str, Any], task: str, ours: Sequence[float]) -> dict[str, Any] | None:
    """The examples per second that the machine's matrix products and memory allow, and our share of them.

    Source: Williams, Waterman & Patterson, "Roofline: an insightful visual performance model for multicore
    architectures", CACM 2009. The share can exceed 1: the arithmetic is that of direct convolutions, and Winograd and
    FFT convolutions do with less.
    """
    flop_rates, bandwidths = rates(machine, "matmul"), rates(machine, "copy")
    if not (ours and flop_rates and bandwidths):
        return None
    flops, traffic = problem.architecture.flops(task), problem.traffic(task)
    ceilings = [ceiling(flops, traffic, *turn) for turn in zip(flop_rates, bandwidths, strict=True)]
    return {
        "flops_per_example": flops,
        "bytes_per_example": traffic,
        "machine_flops_per_second": statistics.median(flop_rates),
        "machine_bytes_per_second": statistics.median(bandwidths),
        "ceiling_examples_per_second": statistics.median(ceilings),
        "reached": ratios(ours, ceilings),
    }


def ceiling(flops: float, traffic: float, flop_rate: float, bandwidth: float) -> float:
    """Returns the examples per second that the machine allows, from operations and bytes per example and per second."""
    return min(flop_rate / flops, bandwidth / traffic)
