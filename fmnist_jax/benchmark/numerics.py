"""How fast we are by precision and by lowering of the convolutions, and how long a whole run takes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, get_args

from fmnist_jax.benchmark import series
from fmnist_jax.benchmark.architecture import ConvAlgorithm, Precision
from fmnist_jax.benchmark.measure import Effort
from fmnist_jax.benchmark.protocol import Request
from fmnist_jax.benchmark.task import RUN

# What there is to measure, by the names that a user gives it.
PARTS = ("precision", "lowerings", "run")


def measure(
    ours: Request, parts: Sequence[str], members: Sequence[int], accelerator: bool, effort: Effort, say: series.Say
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Measures part by part, and yields after each measurement the part with all that there is of it.

    That is precision -> its record; members -> algorithm -> its record, all members as one program; and, of the ten
    epochs of a whole run, `config.precision` -> its record.

    **Arguments:**

    - `parts`: names in `PARTS`.
    - `members`: of the populations to measure the lowerings with.
    - `accelerator`: there is one, so that a run in bfloat16 is worth the while.
    """
    measured: Mapping[str, Callable[[], Iterator[dict[str, Any]]]] = {
        "precision": lambda: _precisions(ours, effort, say),
        "lowerings": lambda: _lowerings(ours, members, effort, say),
        "run": lambda: _runs(ours, accelerator, effort, say),
    }
    for part in parts:
        yield from ((part, found) for found in measured[part]())


def _precisions(ours: Request, effort: Effort, say: series.Say) -> Iterator[dict[str, Any]]:
    values: list[Precision] = ["float32", "tf32", "bfloat16"]
    points: dict[str, Request] = {value: dataclasses.replace(ours, precision=value) for value in values}
    yield series.measure(points, effort, series.about("precision", say))


def _lowerings(ours: Request, members: Sequence[int], effort: Effort, say: series.Say) -> Iterator[dict[str, Any]]:
    found: dict[str, Any] = {}
    for number in members:
        population = dataclasses.replace(ours, variant=f"vmap {number}")
        points = {name: dataclasses.replace(population, algorithm=name) for name in get_args(ConvAlgorithm)}
        found[str(number)] = series.measure(points, effort, series.about(f"lowerings, {number} members", say))
        yield found


def _runs(ours: Request, accelerator: bool, effort: Effort, say: series.Say) -> Iterator[dict[str, Any]]:
    points = {"float32": ours}
    if accelerator:
        points["bfloat16"] = dataclasses.replace(ours, precision="bfloat16")
    yield series.measure(points, effort, series.about(RUN, say), [RUN])
