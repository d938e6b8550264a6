"""Draws bags: a rounded trapezium with a handle, or straps, or neither."""

from __future__ import annotations

import numpy as np

from fmnist_jax.data.synthetic.sampling import Parameters
from fmnist_jax.data.synthetic.shapes import coverage, ellipse, line, union

Drawing = tuple[np.ndarray, np.ndarray]


def draw_bag(u: np.ndarray, v: np.ndarray, p: Parameters) -> Drawing:
    """Draws bags; `u` is 0 on the middle line, `v` runs downwards.

    **Returns:** coverage in [0, 1] and tone (to be added to the cloth's brightness), `float32[n, 28, 28]` each.
    """
    side = np.abs(u)
    body = _body(side, v, p)
    handle = (
        np.abs(ellipse(side - p["handle_split"], v - p["top"], p["handle_width"], p["handle_height"])) - p["handle"]
    )
    handle = np.maximum(np.where(p["handle_height"] > 1.0, handle, 99.0), v - p["top"] - 1.0)
    strap = np.abs(ellipse(side, v - p["top"] - 4.0, p["top_width"] + 1.0, p["strap_drop"])) - 0.5
    strap = np.where(p["strap_drop"] > 1.0, strap, 99.0)
    flap = v - p["top"] - p["flap"] + 0.1 * p["flap_curve"] * side * side / 4.0
    clasp = coverage(ellipse(side, flap, 1.4, 1.4))
    tone = (
        p["flap_tone"] * coverage(flap) - p["seam"] * line(flap, 0.5) + p["clasp"] * clasp - p["edge"] * line(body, 0.8)
    )
    return coverage(union(body, handle, strap)), tone


def _body(side: np.ndarray, v: np.ndarray, p: Parameters) -> np.ndarray:
    share = np.clip((v - p["top"]) / (p["bottom"] - p["top"]), 0.0, 1.0)
    half_width = p["top_width"] + (p["bottom_width"] - p["top_width"]) * share
    middle, half_height, corner = 0.5 * (p["top"] + p["bottom"]), 0.5 * (p["bottom"] - p["top"]), p["corner"]
    a, b = side - half_width + corner, np.abs(v - middle) - half_height + corner
    outside = np.sqrt(np.square(np.maximum(a, 0.0)) + np.square(np.maximum(b, 0.0)))
    return outside + np.minimum(np.maximum(a, b), 0.0) - corner
