"""Shapes as signed distances: negative inside, in pixels, and the coverage of pixels that follows from them.

Coordinates and parameters broadcast: pixels are `float32[n, 28, 28]`, parameters `float32[n, 1, 1]` or numbers. Only
arithmetic that IEEE 754 defines exactly is used on pixels (no sin or exp, whose last digit depends on the processor),
so a seed gives the same images on every machine.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np

Value = np.ndarray | float


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
