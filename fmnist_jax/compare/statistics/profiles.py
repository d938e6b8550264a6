"""Performance profiles over workloads: how often an arm is within a factor of the best (Dolan & More 2002)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np


class Profile(NamedTuple):
    """The profile of each arm.

    **Attributes:**

    - `factors`: `(k,)`: every factor at which a profile rises, ascending from 1.
    - `shares`: by arm, `(k,)`: the share of workloads on which its cost is within this factor of the lowest.
    - `ratios`: by arm, `(workloads,)`: its cost over the lowest of the workload; infinite where it failed.
    """

    factors: np.ndarray
    shares: Mapping[str, np.ndarray]
    ratios: Mapping[str, np.ndarray]


def performance_profile(costs: Mapping[str, Sequence[float]]) -> Profile:
    """Returns the profiles of arms from their costs on the same workloads, in the same order.

    A cost is a time to a target or an error rate; a failure costs infinity. Workloads on which all arms failed count.

    **Raises:** `ValueError` for no arm, no workload, rows of different lengths, or a cost that is not positive.
    """
    lengths = {len(row) for row in costs.values()}
    table = np.array(list(costs.values()), dtype=np.float64) if len(lengths) == 1 else np.empty(0)
    if not table.size or not (table > 0).all():
        raise ValueError("costs must be positive numbers, as many for each arm as there are workloads")
    best = table.min(axis=0)
    ratios = np.divide(table, best, out=np.full_like(table, np.inf), where=np.isfinite(best))
    factors = np.union1d([1.0], ratios[np.isfinite(ratios)])
    shares = share_within(ratios, factors)
    return Profile(factors, dict(zip(costs, shares, strict=True)), dict(zip(costs, ratios, strict=True)))


def share_within(ratios: np.ndarray, factors: Iterable[float]) -> np.ndarray:
    """Returns the share of workloads, the last axis, on which the ratio is at most each factor: `(..., factors)`."""
    return (ratios[..., None, :] <= np.asarray(list(factors))[:, None]).mean(-1)
