"""Draws trousers, and bags: a rounded trapezium with a handle, or straps, or neither."""

from __future__ import annotations

import numpy as np

from fmnist_jax.data.synthetic import shapes
from fmnist_jax.data.synthetic.garment import GARMENT, Drawing, Parameters, Ranges, maybe, mixture, uniform

TROUSERS: Ranges = GARMENT | {
    "stripes": maybe(0.03, 0.08, 0.2),
    "scale_x": uniform(0.9, 1.1),
    "waist": uniform(4.0, 5.6),
    "hip": uniform(4.8, 6.4),
    "knee": uniform(4.2, 6.4),
    "ankle": uniform(4.0, 7.2),
    "hem": mixture((0.92, 26.5, 27.8), (0.08, 20.0, 26.0)),
    "crotch": uniform(6.5, 10.0),
    "gap": mixture((0.85, 1.0, 4.0), (0.15, 0.1, 1.0)),
    "crease": uniform(-0.15, 0.15),
    "seam": uniform(0.0, 0.3),
    "band": maybe(0.5, -0.25, 0.1),
}


def draw_trousers(u: np.ndarray, v: np.ndarray, p: Parameters) -> Drawing:
    """Draws trousers; `u` is 0 on the middle line, `v` runs down from 0 at the waist."""
    side = np.abs(u)
    outer = shapes.profile(v, (0.5, 6.0, 16.0, p["hem"]), (p["waist"], p["hip"], p["knee"], p["ankle"]))
    inner = shapes.profile(v, (p["crotch"], p["crotch"] + 3.0, p["hem"]), (0.0, p["gap"] * 0.4, p["gap"]))
    legs = shapes.intersection(side - outer, np.where(v > p["crotch"], inner - side, -9.0), 0.5 - v, v - p["hem"])
    crease = shapes.line(side - 0.5 * (inner + outer), 0.6)
    seam = shapes.coverage(shapes.intersection(side - 0.4, p["crotch"] - 4.0 - v))
    waistband = shapes.coverage(v - 2.0)
    return shapes.coverage(legs), p["crease"] * crease - p["seam"] * seam + p["band"] * waistband


BAG: Ranges = GARMENT | {
    "top": mixture((0.65, 8.0, 12.0), (0.35, 3.0, 8.0)),
    "bottom": uniform(22.0, 27.0),
    "top_width": uniform(8.5, 13.5),
    "bottom_width": uniform(10.5, 13.5),
    "corner": uniform(0.5, 4.0),
    "handle": uniform(0.5, 1.1),
    "handle_width": uniform(2.5, 7.5),
    "handle_height": maybe(0.75, 4.0, 10.0),
    "handle_split": maybe(0.2, 1.0, 3.0),
    "strap_drop": maybe(0.2, 4.0, 9.0),
    "flap": uniform(3.0, 10.0),
    "flap_curve": uniform(-1.0, 1.0),
    "flap_tone": maybe(0.5, -0.3, 0.2),
    "clasp": maybe(0.4, -0.5, 0.5),
    "seam": maybe(0.6, 0.05, 0.35),
    "edge": uniform(0.0, 0.3),
}


def draw_bag(u: np.ndarray, v: np.ndarray, p: Parameters) -> Drawing:
    """Draws bags; `u` is 0 on the middle line, `v` runs downwards."""
    side = np.abs(u)
    down = v - p["top"]
    body = _body(side, v, p)
    # One arch over the middle, or two side by side.
    arch = shapes.ellipse(side - p["handle_split"], down, p["handle_width"], p["handle_height"])
    handle = np.maximum(np.abs(arch) - p["handle"], down - 1.0)
    # A thin strap from side to side, hanging over the front.
    strap = np.abs(shapes.ellipse(side, down - 4.0, p["top_width"] + 1.0, p["strap_drop"])) - 0.5
    bag = shapes.union(
        body, shapes.if_present(p["handle_height"] > 0.0, handle), shapes.if_present(p["strap_drop"] > 0.0, strap)
    )
    flap = down - p["flap"] + p["flap_curve"] * side * side / 40.0
    tone = p["flap_tone"] * shapes.coverage(flap) - p["seam"] * shapes.line(flap, 0.5)
    tone -= p["edge"] * shapes.line(body, 0.8)
    tone += p["clasp"] * shapes.coverage(shapes.ellipse(side, flap, 1.4, 1.4))
    return shapes.coverage(bag), tone


def _body(side: np.ndarray, v: np.ndarray, p: Parameters) -> np.ndarray:
    share = np.clip((v - p["top"]) / (p["bottom"] - p["top"]), 0.0, 1.0)
    half_width = p["top_width"] + (p["bottom_width"] - p["top_width"]) * share
    middle, half_height, corner = 0.5 * (p["top"] + p["bottom"]), 0.5 * (p["bottom"] - p["top"]), p["corner"]
    a, b = side - half_width + corner, np.abs(v - middle) - half_height + corner
    outside = np.sqrt(np.square(np.maximum(a, 0.0)) + np.square(np.maximum(b, 0.0)))
    return outside + np.minimum(np.maximum(a, b), 0.0) - corner
