"""Draws what hangs from the shoulders: T-shirt, pullover, dress, coat, shirt. `top_ranges.py` sets them apart."""

from __future__ import annotations

import numpy as np

from fmnist_jax.data.synthetic.sampling import Parameters
from fmnist_jax.data.synthetic.shapes import (
    Drawing,
    box,
    coverage,
    ellipse,
    intersection,
    line,
    only,
    profile,
    strip,
    triangle_wave,
    union,
)


def draw_top(u: np.ndarray, v: np.ndarray, p: Parameters) -> Drawing:
    """Draws tops, dresses and coats; `u` is 0 on the middle line, `v` runs down from 0 at the collar.

    **Returns:** coverage in [0, 1] and tone (to be added to the cloth's brightness), `float32[n, 28, 28]` each.
    """
    side = np.abs(u)
    body, neck, flap = _torso(side, v, p), _neckline(side, v, p), _flap(side, v, p)
    cloth = coverage(union(body, _sleeve(side, v, p), _standing_collar(side, v, p), flap))
    inside = coverage(np.maximum(neck, -flap))
    # Through the neckline one sees the inside of the back, or nothing at all.
    cover = cloth * (1.0 - inside * (1.0 - p["lining"]))
    tone = p["sleeve_tone"] * coverage(-body) - p["seam"] * line(body, 0.5) - p["neck_shade"] * inside
    tone += p["collar_tone"] * coverage(flap) - p["collar_edge"] * line(flap, 0.3)
    return cover, tone + _closure(u, side, v, p) + _trim(side, v, p)


def _torso(side: np.ndarray, v: np.ndarray, p: Parameters) -> np.ndarray:
    rise, hem = p["rise"], p["hem"]
    half_width = profile(
        v, (rise, rise + 6.0, p["waist_at"], hem), (p["shoulder"], p["chest"], p["waist"], p["hem_width"])
    )
    shoulder_line = rise + p["shoulder_slope"] * np.maximum(side - p["neck_width"], 0.0)
    return intersection(side - half_width, shoulder_line - v, v - hem - p["hem_curve"] * side * side / 32.0)


def _sleeve(side: np.ndarray, v: np.ndarray, p: Parameters) -> np.ndarray:
    length, start = p["sleeve"], p["sleeve_width"]
    # Short sleeves stand off from the body, long ones hang.
    lean = p["sleeve_lean"] + np.maximum(14.0 - length, 0.0) * 0.05
    joint_u = p["shoulder"] - 0.8 * start
    joint_v = p["rise"] + p["shoulder_slope"] * (joint_u - p["neck_width"]) + 1.1 * start
    return only(length > 0.0, strip(side - joint_u, v - joint_v, lean, length, start, p["cuff_width"]))


def _standing_collar(side: np.ndarray, v: np.ndarray, p: Parameters) -> np.ndarray:
    return ellipse(side, v - p["rise"] - 1.0, p["neck_width"] + p["hood"], p["rise"] + 0.6)


def _flap(side: np.ndarray, v: np.ndarray, p: Parameters) -> np.ndarray:
    """A half of a turned-down collar, from the side of the neck towards the middle."""
    flap = strip(side - p["neck_width"], v - p["rise"], -p["collar_lean"], p["collar"], 1.0, p["collar_width"])
    return only(p["collar"] > 0.0, np.maximum(flap, p["rise"] * 0.5 - v))


def _neckline(side: np.ndarray, v: np.ndarray, p: Parameters) -> np.ndarray:
    width, depth = p["neck_width"], p["neck_depth"]
    down = v - p["rise"] * 0.6
    vee = (side * depth / width + down - depth) * 0.7
    return np.where(p["vee"] > 0.5, vee, ellipse(side, down, width, depth))


def _closure(u: np.ndarray, side: np.ndarray, v: np.ndarray, p: Parameters) -> np.ndarray:
    """What runs down the front: a placket or zip, its buttons, or an open front that shows the lining."""
    down = v - p["rise"] - p["neck_depth"]
    offset = np.abs(u - p["overlap"])
    buttons = coverage(offset - 0.4) * np.maximum(triangle_wave(v / p["button_step"]) - 0.2, 0.0)
    # Half a pixel keeps a closed front (gap 0) closed.
    gap = coverage(side + 0.5 - p["gap"] * down / 14.0)
    front = p["placket"] * coverage(offset - p["placket_width"]) + p["buttons"] * buttons - p["gap_shade"] * gap
    return coverage(-down) * front


def _trim(side: np.ndarray, v: np.ndarray, p: Parameters) -> np.ndarray:
    pocket = coverage(box(side - 4.5, v - p["pocket_at"], 1.8, p["pocket_size"]))
    belt = coverage(np.abs(v - p["waist_at"]) - 0.8)
    band = coverage(p["hem"] - 2.0 - v)
    return p["pocket"] * pocket + p["belt"] * belt + p["band"] * band
