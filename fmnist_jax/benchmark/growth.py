"""Our own training speed along an axis: batch size, cores, members, channels, precision, convolution algorithm."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fmnist_jax.benchmark.interleaved import Budget, Candidate, Log, interleaved, prefixed
from fmnist_jax.benchmark.problem import NETWORKS
from fmnist_jax.config.schema import CONV_ALGORITHMS

# The axes by the names of the flags --axes and --numerics, and their titles in the results.
GROWTH: Mapping[str, str] = {
    "batch": "batch size",
    "cores": "cores",
    "vmap": "members (vmap)",
    "threads": "members (threads)",
    "channels": "channels",
}
NUMERICS = ("precision", "algorithms")


def measure(
    axis: str, ours: Candidate, members: Sequence[int], budget: Budget, log: Log
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields the title and the records, by value, of each series of an axis: one, but for `algorithms` per population.

    A value that fails beside the others is measured again without them: it may have lacked their memory. Records are
    those of `interleaved` with `flops_per_example` of training, and `alone`: measured without the others.

    **Arguments:**

    - `axis`: a name in `GROWTH` or `NUMERICS`.
    - `members`: sizes of the populations.
    """
    for title, points in _series(axis, ours, members).items():
        log_series = prefixed(log, title)
        records = interleaved(points, budget, log_series)
        for point in points:
            record = records[point.label]
            alone = len(points) > 1 and record["status"] == "failed"
            if alone:
                log_series(f"{point.label} failed, once more alone: {record['reason']}")
                record = interleaved([point], budget, log_series)[point.label]
            flops = point.problem.architecture.flops("train")
            records[point.label] = {**record, "flops_per_example": flops, "alone": alone}
        yield title, records


def _series(axis: str, ours: Candidate, members: Sequence[int]) -> dict[str, list[Candidate]]:
    if axis == "batch":
        points = [_point(ours, size, batch_size=size) for size in (64, 128, 256, 512, 1024)]
    elif axis == "cores":
        most = len(os.sched_getaffinity(0))
        counts = sorted({2**n for n in range(most.bit_length())} | {most})
        points = [_point(ours, count, cores=count) for count in counts]
    elif axis == "channels":
        own = NETWORKS[ours.problem.network].convs[0].features
        points = [_point(ours, width, channels=width) for width in (own // 2, own, 2 * own, 4 * own)]
    elif axis == "precision":
        points = [_point(ours, precision, precision=precision) for precision in ("float32", "tf32", "bfloat16")]
    elif axis == "algorithms":
        return {
            f"algorithm, {size} members": [
                _point(ours, algorithm, f"vmap {size}", algorithm=algorithm) for algorithm in CONV_ALGORITHMS
            ]
            for size in members
        }
    else:
        points = [_point(ours, size, f"{axis} {size}") for size in members]
    return {GROWTH.get(axis, axis): points}


def _point(ours: Candidate, value: object, variant: str = "", cores: int = 0, **changes: Any) -> Candidate:
    problem = dataclasses.replace(ours.problem, **changes)
    return dataclasses.replace(
        ours, label=str(value), entry=ours.entry._replace(variant=variant), problem=problem, cores=cores
    )
