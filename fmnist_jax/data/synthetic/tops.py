"""Draws what hangs from the shoulders (T-shirt, pullover, dress, coat, shirt) and, from the waist, trousers."""

from __future__ import annotations

import numpy as np

from fmnist_jax.data.synthetic.sampling import Parameters
from fmnist_jax.data.synthetic.shapes import (
    box,
    coverage,
    ellipse,
    intersection,
    line,
    profile,
    strip,
    triangle_wave,
    union,
)

Drawing = tuple[np.ndarray, np.ndarray]


def draw_top(u: np.ndarray, v: np.ndarray, p: Parameters) -> Drawing:
    """Draws tops, dresses and coats; `u` is 0 on the middle line, `v` runs down from 0 at the collar.

    **Returns:** coverage in [0, 1] and tone (to be added to the cloth's brightness), `float32[n, 28, 28]` each.
    """
    side = np.abs(u)
    body = _torso(side, v, p)
    sleeve = _sleeve(side, v, p)
    collar = _standing_collar(side, v, p)
    neck = _neckline(side, v, p)
    gap = _front_gap(side, v, p)
    cloth = coverage(np.maximum(union(body, sleeve, collar), -gap))
    # Through the neckline one sees the inside of the back, or nothing at all.
    cover = cloth * (1.0 - coverage(neck) * (1.0 - p["lining"]))
    tone = -p["seam"] * line(body, 0.5) - p["neck_shade"] * coverage(neck) + p["sleeve_tone"] * coverage(-body)
    return cover, tone + _closure(u, side, v, p) + _trim(side, v, p, neck)


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
    angle = p["sleeve_angle"] + np.maximum(14.0 - length, 0.0) * 0.035
    sine, cosine = (
        np.sin(angle, dtype=np.float64).astype(np.float32),
        np.cos(angle, dtype=np.float64).astype(np.float32),
    )
    joint_u = p["shoulder"] - 0.8 * start
    joint_v = p["rise"] + p["shoulder_slope"] * (joint_u - p["neck_width"]) + 1.1 * start
    arm = strip(side - joint_u, v - joint_v, sine, cosine, length, start, p["cuff_width"])
    return np.where(length > 0.5, arm, 99.0)


def _standing_collar(side: np.ndarray, v: np.ndarray, p: Parameters) -> np.ndarray:
    return ellipse(side, v - p["rise"] - 1.0, p["neck_width"] + 1.2, p["rise"] + 0.6)


def _neckline(side: np.ndarray, v: np.ndarray, p: Parameters) -> np.ndarray:
    width, depth = p["neck_width"], p["neck_depth"]
    down = v - p["rise"] * 0.6
    vee = (side * depth / width + down - depth) * 0.7
    return np.where(p["vee"] > 0.5, vee, ellipse(side, down, width, depth))


def _front_gap(side: np.ndarray, v: np.ndarray, p: Parameters) -> np.ndarray:
    # Half a pixel keeps a closed front (gap 0) closed.
    return side + 0.5 - p["gap"] * (v - p["rise"] - p["neck_depth"]) / 14.0


def _closure(u: np.ndarray, side: np.ndarray, v: np.ndarray, p: Parameters) -> np.ndarray:
    offset = np.abs(u - p["overlap"])
    below = coverage(p["rise"] + p["neck_depth"] - v)
    buttons = coverage(offset - 0.4) * np.maximum(triangle_wave(v / p["button_step"]) - 0.2, 0.0)
    return below * (p["placket"] * coverage(offset - p["placket_width"]) + p["buttons"] * buttons)


def _trim(side: np.ndarray, v: np.ndarray, p: Parameters, neck: np.ndarray) -> np.ndarray:
    flaps = coverage(intersection(neck - p["collar"], -neck, v - p["rise"] - p["neck_depth"] - 2.5))
    pocket = coverage(box(side - 4.5, v - p["pocket_at"], 1.8, p["pocket_size"]))
    belt = coverage(np.abs(v - p["waist_at"]) - 0.8)
    band = coverage(p["hem"] - 2.0 - v)
    return p["collar_tone"] * flaps + p["pocket"] * pocket + p["belt"] * belt + p["band"] * band


def draw_trousers(u: np.ndarray, v: np.ndarray, p: Parameters) -> Drawing:
    """Draws trousers; the same coordinates and results as `draw_top`."""
    side = np.abs(u)
    outer = profile(v, (0.5, 6.0, 16.0, p["hem"]), (p["waist"], p["hip"], p["knee"], p["ankle"]))
    inner = profile(v, (p["crotch"], p["crotch"] + 3.0, p["hem"]), (0.0, p["gap"] * 0.4, p["gap"]))
    legs = intersection(side - outer, np.where(v > p["crotch"], inner - side, -9.0), 0.5 - v, v - p["hem"])
    crease = line(side - 0.5 * (inner + outer), 0.6)
    seam = coverage(intersection(side - 0.4, p["crotch"] - 4.0 - v))
    waistband = coverage(v - 2.0)
    return coverage(legs), p["crease"] * crease - p["seam"] * seam + p["band"] * waistband
