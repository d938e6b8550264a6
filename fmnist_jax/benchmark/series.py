"""A series of points: our own training, measured as asked for in one way and in another."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from fmnist_jax.benchmark import roofline
from fmnist_jax.benchmark.measure import Effort, Entrant, in_turn
from fmnist_jax.benchmark.protocol import Request

Say = Callable[[str], None]


def measure(
    points: Mapping[str, Request], effort: Effort, say: Say, tasks: Sequence[str] = ("train",)
) -> dict[str, Any]:
    """Measures the points in turn.

    A point that fails beside the others is measured again without them: it may be their memory that it lacked.

    **Returns:** by label a record as `in_turn`'s, with `flops_per_example` of training, and `alone`, true where it was
    measured without the others.
    """
    entrants = {label: Entrant(label, request, tuple(tasks)) for label, request in points.items()}
    found = in_a_folder(list(entrants.values()), effort, say)
    for label, record in found.items():
        alone = len(points) > 1 and record["status"] == "failed"
        if alone:
            say(f"{label} failed, once more alone: {record['reason']}")
            record = in_a_folder([entrants[label]], effort, say)[label]
        flops = roofline.training_flops(points[label].specified().architecture)
        found[label] = {**record, "flops_per_example": flops, "alone": alone}
    return found


def about(what: str, say: Say) -> Say:
    """Returns who says it with `what` it is about before it."""
    return lambda text: say(f"{what}: {text}")


def in_a_folder(entrants: Sequence[Entrant], effort: Effort, say: Say) -> dict[str, Any]:
    """Measures as `in_turn` does, in a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        return in_turn(entrants, effort, Path(folder), say)
