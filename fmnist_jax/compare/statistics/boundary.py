"""Whether a tuned optimum lies at the edge of its search space: then the space, not the optimizer, was compared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple, Protocol

import numpy as np

SHARE = 0.05


class Space(Protocol):
    """A hyperparameter's range and how it is sampled, as `fmnist_jax.optim.Hyperparameter` has them."""

    @property
    def low(self) -> float: ...
    @property
    def high(self) -> float: ...
    @property
    def scale(self) -> Literal["log", "log1m", "linear"]: ...


class AtEdge(NamedTuple):
    """The best trial's value of a hyperparameter, near the bound of its space.

    `edge` is which bound of the value; `distance` is how far it is off, as a share of the space's width on its scale:
    0 on the bound, below 0 beyond it.
    """

    name: str
    value: float
    edge: Literal["low", "high"]
    bound: float
    distance: float


def at_edges(best: Mapping[str, float], spaces: Mapping[str, Space], share: float = SHARE) -> tuple[AtEdge, ...]:
    """Returns the hyperparameters of the best trial that lie within `share` of the width of their space from a bound.

    Those that were not searched (equal bounds, or not in `spaces`) are left out. Of values drawn at random, a share of
    `2 * share` lies so near: the warning asks for a wider space and does not prove that it is needed.
    """
    searched = {name: space for name, space in spaces.items() if name in best and space.low < space.high}
    found = (_nearest(name, best[name], space) for name, space in searched.items())
    return tuple(edge for edge in found if edge.distance <= share)


def _nearest(name: str, value: float, space: Space) -> AtEdge:
    low, high, place = (_on_scale(x, space.scale) for x in (space.low, space.high, value))
    from_low = (place - low) / (high - low)
    if from_low <= 0.5:
        return AtEdge(name, value, "low", space.low, from_low)
    return AtEdge(name, value, "high", space.high, 1 - from_low)


def _on_scale(value: float, scale: str) -> float:
    """The value on the scale that the space is sampled on; minus infinity for 0 on a log scale."""
    with np.errstate(divide="ignore"):
        if scale == "log":
            return float(np.log(value))
        return float(-np.log1p(-value)) if scale == "log1m" else value
