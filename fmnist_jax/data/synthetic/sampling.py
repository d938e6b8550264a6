"""Parameters are drawn from mixtures of ranges; a garment's table of them is written with `mix`, `span` and `maybe`."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

Range = tuple[float, float, float]
Mixture = tuple[Range, ...]
Wardrobe = dict[str, Mixture]
Parameters = Mapping[str, np.ndarray]


def mix(*ranges: Range) -> Mixture:
    """Says: uniform in `[low, high)` with this probability, for each `(probability, low, high)`; they sum to 1."""
    return ranges


def span(low: float, high: float) -> Mixture:
    """Says: uniform in `[low, high)`."""
    return ((1.0, low, high),)


def maybe(chance: float, low: float, high: float) -> Mixture:
    """Says: uniform in `[low, high)` with this probability, else 0, which leaves the feature out."""
    return ((chance, low, high), (1.0 - chance, 0.0, 0.0))


def sample(wardrobe: Wardrobe, count: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Draws every parameter for `count` garments: name -> `float32[count, 1, 1]`, ready to broadcast over pixels."""
    return {name: _draw(mixture, count, rng).reshape(count, 1, 1) for name, mixture in wardrobe.items()}


def _draw(mixture: Mixture, count: int, rng: np.random.Generator) -> np.ndarray:
    weights, lows, highs = np.array(mixture).T
    # The last component takes what rounding leaves of the weights' sum.
    component = np.searchsorted(np.cumsum(weights)[:-1], rng.random(count), side="right")
    low, high = lows[component], highs[component]
    return (low + (high - low) * rng.random(count)).astype(np.float32)
