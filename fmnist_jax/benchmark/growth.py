"""How our training speed grows: with the batch, the cores, the members of a population, the width of the network."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fmnist_jax.benchmark import series
from fmnist_jax.benchmark.architecture import PROBLEMS
from fmnist_jax.benchmark.measure import Effort
from fmnist_jax.benchmark.protocol import Request

# The axes by the names that a user gives them, and what the results call them.
AXES: Mapping[str, str] = {
    "batch": "batch size",
    "cores": "cores",
    "vmap": "members (vmap)",
    "threads": "members (loop)",
    "channels": "channels",
}
_BATCH_SIZES = (64, 128, 256, 512, 1024)
# Times the first convolution's own.
_WIDTHS = (0.5, 1, 2, 4)


def measure(
    ours: Request, axes: Sequence[str], members: Sequence[int], effort: Effort, say: series.Say
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Measures one value after the other of each axis, and yields the axis with value -> its record.

    **Arguments:**

    - `axes`: names in `AXES`.
    - `members`: of the populations.
    """
    for name in axes:
        axis = AXES[name]
        points = {str(value): request for value, request in _points(name, ours, members).items()}
        yield axis, series.measure(points, effort, series.about(axis, say))


def _points(name: str, ours: Request, members: Sequence[int]) -> dict[int, Request]:
    if name == "batch":
        return {size: dataclasses.replace(ours, batch_size=size) for size in _BATCH_SIZES}
    if name == "cores":
        return {number: dataclasses.replace(ours, cores=number) for number in _cores(len(os.sched_getaffinity(0)))}
    if name == "channels":
        own = PROBLEMS[ours.problem].architecture.convs[0].features
        return {int(times * own): dataclasses.replace(ours, channels=int(times * own)) for times in _WIDTHS}
    return {number: dataclasses.replace(ours, variant=f"{name} {number}") for number in members}


def _cores(most: int) -> list[int]:
    return sorted({2**n for n in range(most.bit_length())} | {most})
