"""Draws bags: a rounded trapezium with a handle, or straps, or neither."""

from __future__ import annotations

import numpy as np

from fmnist_jax.data.synthetic.cloth import CLOTH
from fmnist_jax.data.synthetic.pose import POSE
from fmnist_jax.data.synthetic.sampling import Parameters, Wardrobe, maybe, mix, span
from fmnist_jax.data.synthetic.shapes import Drawing, coverage, ellipse, line, only, union

BAG: Wardrobe = (
    POSE
    | CLOTH
    | {
        "top": mix((0.65, 8.0, 12.0), (0.35, 3.0, 8.0)),
        "bottom": span(22.0, 27.0),
        "top_width": span(8.5, 13.5),
        "bottom_width": span(10.5, 13.5),
        "corner": span(0.5, 4.0),
        "handle": span(0.5, 1.1),
        "handle_width": span(2.5, 7.5),
        "handle_height": maybe(0.75, 4.0, 10.0),
        "handle_split": maybe(0.2, 1.0, 3.0),
        "strap_drop": maybe(0.2, 4.0, 9.0),
        "flap": span(3.0, 10.0),
        "flap_curve": span(-1.0, 1.0),
        "flap_tone": maybe(0.5, -0.3, 0.2),
        "clasp": maybe(0.4, -0.5, 0.5),
        "seam": maybe(0.6, 0.05, 0.35),
        "edge": span(0.0, 0.3),
    }
)


def draw_bag(u: np.ndarray, v: np.ndarray, p: Parameters) -> Drawing:
    """Draws bags; `u` is 0 on the middle line, `v` runs downwards.

    **Returns:** coverage in [0, 1] and tone (to be added to the cloth's brightness), `float32[n, 28, 28]` each.
    """
    side = np.abs(u)
    down = v - p["top"]
    body = _body(side, v, p)
    flap = down - p["flap"] + p["flap_curve"] * side * side / 40.0
    tone = p["flap_tone"] * coverage(flap) - p["seam"] * line(flap, 0.5) - p["edge"] * line(body, 0.8)
    tone += p["clasp"] * coverage(ellipse(side, flap, 1.4, 1.4))
    return coverage(union(body, _handle(side, down, p), _strap(side, down, p))), tone


def _handle(side: np.ndarray, down: np.ndarray, p: Parameters) -> np.ndarray:
    """One arch over the middle, or two that stand apart."""
    arch = ellipse(side - p["handle_split"], down, p["handle_width"], p["handle_height"])
    return only(p["handle_height"] > 0.0, np.maximum(np.abs(arch) - p["handle"], down - 1.0))


def _strap(side: np.ndarray, down: np.ndarray, p: Parameters) -> np.ndarray:
    """A thin strap from side to side, fallen over the bag."""
    loop = ellipse(side, down - 4.0, p["top_width"] + 1.0, p["strap_drop"])
    return only(p["strap_drop"] > 0.0, np.abs(loop) - 0.5)


def _body(side: np.ndarray, v: np.ndarray, p: Parameters) -> np.ndarray:
    share = np.clip((v - p["top"]) / (p["bottom"] - p["top"]), 0.0, 1.0)
    half_width = p["top_width"] + (p["bottom_width"] - p["top_width"]) * share
    middle, half_height, corner = 0.5 * (p["top"] + p["bottom"]), 0.5 * (p["bottom"] - p["top"]), p["corner"]
    a, b = side - half_width + corner, np.abs(v - middle) - half_height + corner
    outside = np.sqrt(np.square(np.maximum(a, 0.0)) + np.square(np.maximum(b, 0.0)))
    return outside + np.minimum(np.maximum(a, b), 0.0) - corner
