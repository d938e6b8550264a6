"""What every garment is drawn with: random parameters, signed distances of shapes, its pose, its cloth.

Coordinates and parameters broadcast: pixels are `float32[n, 28, 28]`, parameters `float32[n, 1, 1]` or numbers. Only
arithmetic that IEEE 754 defines exactly is used on pixels (no sin or exp, whose last digit depends on the processor),
so a seed gives the same images on every machine.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence

import numpy as np

from fmnist_jax.data.dataset import IMAGE_SIZE

# (probability, low, high)
Component = tuple[float, float, float]
Mixture = tuple[Component, ...]
# The distribution of each parameter of a garment.
Ranges = dict[str, Mixture]
Parameters = Mapping[str, np.ndarray]
Value = np.ndarray | float
# Coverage in [0, 1] and tone (added to the cloth's brightness), `float32[n, 28, 28]` each.
Drawing = tuple[np.ndarray, np.ndarray]


def mixture(*components: Component) -> Mixture:
    """A mixture of uniform distributions over `[low, high)`; the probabilities sum to 1."""
    return components


def uniform(low: float, high: float) -> Mixture:
    """The uniform distribution over `[low, high)`."""
    return ((1.0, low, high),)


def maybe(probability: float, low: float, high: float) -> Mixture:
    """Uniform over `[low, high)` with this probability, else 0, which omits the feature."""
    return ((probability, low, high), (1.0 - probability, 0.0, 0.0))


def sample(ranges: Ranges, count: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Samples every parameter for `count` garments: name -> `float32[count, 1, 1]`."""
    return {name: _sample_one(components, count, rng).reshape(count, 1, 1) for name, components in ranges.items()}


def _sample_one(components: Mixture, count: int, rng: np.random.Generator) -> np.ndarray:
    weights, lows, highs = np.array(components).T
    # The cumulative weights may round to less than 1: what lies above them is the last component's.
    component = np.searchsorted(np.cumsum(weights)[:-1], rng.random(count), side="right")
    low, high = lows[component], highs[component]
    return (low + (high - low) * rng.random(count)).astype(np.float32)


def coverage(distance: np.ndarray) -> np.ndarray:
    """The fraction of a pixel, in [0, 1], that lies inside: an edge blurred over one pixel."""
    return np.clip(0.5 - distance, 0.0, 1.0)


def line(distance: np.ndarray, half_width: Value) -> np.ndarray:
    """The coverage of a line drawn along the edge of a shape."""
    return coverage(np.abs(distance) - half_width)


def union(*distances: np.ndarray) -> np.ndarray:
    """The distance to the nearest of several shapes."""
    return functools.reduce(np.minimum, distances)


def intersection(*distances: np.ndarray) -> np.ndarray:
    """The distance to the intersection of several shapes."""
    return functools.reduce(np.maximum, distances)


def box(u: np.ndarray, v: np.ndarray, half_width: Value, half_height: Value) -> np.ndarray:
    """A rectangle around the origin."""
    return np.maximum(np.abs(u) - half_width, np.abs(v) - half_height)


def ellipse(u: np.ndarray, v: np.ndarray, radius_u: Value, radius_v: Value) -> np.ndarray:
    """An ellipse around the origin; the distance is exact at the edge of a circle, else approximate."""
    wide, high = np.maximum(radius_u, 0.1), np.maximum(radius_v, 0.1)
    a, b = u / wide, v / high
    return (np.sqrt(a * a + b * b) - 1.0) * np.minimum(wide, high)


def smooth_union(first: np.ndarray, second: np.ndarray, radius: float) -> np.ndarray:
    """A union whose inner corner is rounded (Inigo Quilez's quadratic smooth minimum)."""
    near = np.maximum(radius - np.abs(first - second), 0.0)
    return np.minimum(first, second) - near * near / (4.0 * radius)


def if_present(present: np.ndarray, distance: np.ndarray) -> np.ndarray:
    """The shape where it is present, else a distance far outside every shape."""
    return np.where(present, distance, np.float32(99.0))


def strip(u: np.ndarray, v: np.ndarray, lean: Value, length: Value, start: Value, end: Value) -> np.ndarray:
    """A strip from the origin along `(lean, 1)`, round at its `start`, flat at its `end` (both half-widths)."""
    norm = np.sqrt(lean * lean + 1.0)
    along = (u * lean + v) / norm
    across, before = (u - v * lean) / norm, np.minimum(along, 0.0)
    half_width = start + (end - start) * np.clip(along / np.maximum(length, 1e-3), 0.0, 1.0)
    return intersection(np.sqrt(across * across + before * before) - half_width, along - length)


def profile(t: np.ndarray, knots: Sequence[Value], values: Sequence[Value]) -> np.ndarray:
    """The piecewise linear function of `t` through increasing `knots`, constant outside them."""
    result = values[0] + np.zeros_like(t)
    for left, right, low, high in zip(knots, knots[1:], values, values[1:], strict=False):
        slope = (high - low) / np.maximum(right - left, 1e-3)
        result += slope * (np.clip(t, left, right) - left)
    return result


def triangle_wave(t: np.ndarray) -> np.ndarray:
    """A wave of period 1 in [-1, 1], from exact arithmetic only."""
    return 4.0 * np.abs(t - np.floor(t) - 0.5) - 1.0


POSE: Ranges = {
    "axis": uniform(0.0, 0.0),
    "shift_x": uniform(-0.8, 0.8),
    "shift_y": uniform(-0.6, 0.6),
    "scale_x": uniform(0.94, 1.06),
    "scale_y": uniform(0.96, 1.04),
    "turn": uniform(-0.04, 0.04),
    "shear": uniform(-0.04, 0.04),
}


def garment_coordinates(p: Parameters) -> tuple[np.ndarray, np.ndarray]:
    """The garment's coordinates `u`, `v` at each pixel: shifted, scaled, turned, sheared about the image's centre."""
    centre = 0.5 * (IMAGE_SIZE - 1)
    rows, columns = np.meshgrid(*[np.arange(IMAGE_SIZE, dtype=np.float32) - centre] * 2, indexing="ij")
    x, y = columns - p["shift_x"], rows - p["shift_y"]
    u = x / p["scale_x"] + (p["turn"] + p["shear"]) * y
    v = y / p["scale_y"] - p["turn"] * x
    return u + p["axis"], v + 0.5 * IMAGE_SIZE


CLOTH: Ranges = {
    "brightness": mixture((0.65, 0.62, 0.95), (0.22, 0.35, 0.62), (0.13, 0.14, 0.35)),
    "light_u": uniform(-0.1, 0.1),
    "light_v": uniform(-0.15, 0.1),
    "grain": mixture((0.7, 0.01, 0.04), (0.3, 0.04, 0.1)),
    "folds": uniform(0.0, 0.07),
    "fold_step": uniform(4.0, 10.0),
    "stripes": maybe(0.12, 0.06, 0.2),
    "pinstripes": maybe(0.06, 0.06, 0.2),
    "stripe_step": uniform(3.0, 7.0),
    "sharpness": uniform(1.0, 4.0),
    "phase": uniform(0.0, 1.0),
    "speckle": maybe(0.14, 0.1, 0.3),
    "print": uniform(0.0, 0.0),
    "print_at": uniform(8.0, 14.0),
    "print_width": uniform(2.0, 4.5),
    "print_height": uniform(0.8, 3.5),
    "round_print": uniform(0.0, 1.0),
    "block": maybe(0.06, -0.3, 0.3),
    "block_at": uniform(7.0, 20.0),
}


def shade(u: np.ndarray, v: np.ndarray, tone: np.ndarray, grain: np.ndarray, p: Parameters) -> np.ndarray:
    """The brightness in [0, 1] at each point of a garment.

    **Arguments:**

    - `u`, `v`: the garment's coordinates, `float32[n, 28, 28]`.
    - `tone`: what its shape adds to the brightness.
    - `grain`: uniform noise in [-1, 1].
    - `p`: the parameters of `CLOTH`.
    """
    light = 1.0 + p["light_u"] * u / 14.0 + p["light_v"] * (v - 14.0) / 14.0
    folds = p["folds"] * triangle_wave(u / p["fold_step"] + 0.06 * v + p["phase"])
    value = (p["brightness"] + tone + folds + _pattern(u, v, grain, p)) * light + p["grain"] * grain
    return np.clip(value, 0.03, 1.0)


def _pattern(u: np.ndarray, v: np.ndarray, grain: np.ndarray, p: Parameters) -> np.ndarray:
    across = np.clip(triangle_wave(v / p["stripe_step"] + p["phase"]) * p["sharpness"], -1.0, 1.0)
    down = np.clip(triangle_wave(u / p["stripe_step"] + p["phase"]) * p["sharpness"], -1.0, 1.0)
    coarse = _blur(grain)
    rectangle, disc = box(u, v - p["print_at"], p["print_width"], p["print_height"]), ellipse(u, v - 11.0, 4.0, 4.0)
    chest = coverage(np.where(p["round_print"] > 0.5, disc, rectangle)) * (1.0 + coarse)
    block = coverage(v - p["block_at"])
    return (
        p["stripes"] * across + p["pinstripes"] * down + p["speckle"] * coarse + p["print"] * chest + p["block"] * block
    )


def _blur(grain: np.ndarray) -> np.ndarray:
    """Smooths the grain into blots about two pixels wide, in the same range."""
    rows = grain + np.roll(grain, 1, axis=1)
    return 0.5 * (rows + np.roll(rows, 1, axis=2))
