"""Draws what hangs from the shoulders: T-shirt, pullover, dress, coat, shirt.

T-shirt, pullover, coat and shirt differ only in their ranges, which overlap as those garments do: a shirt's buttons may
not show, a pullover may have a collar and a T-shirt long sleeves. This makes the set hard. Dresses overlap less.
Lengths are in pixels, brightness and tones in [-1, 1]; a lean is a tangent.
"""

from __future__ import annotations

import numpy as np

from fmnist_jax.data.synthetic import shapes
from fmnist_jax.data.synthetic.garment import GARMENT, Drawing, Parameters, Ranges, maybe, mixture, uniform

TOP: Ranges = GARMENT | {
    "rise": uniform(0.2, 1.2),
    "hood": uniform(0.8, 1.4),
    "shoulder": uniform(7.6, 9.4),
    "shoulder_slope": uniform(0.35, 0.65),
    "chest": uniform(6.0, 7.8),
    "waist": uniform(5.8, 7.8),
    "waist_at": uniform(14.0, 18.0),
    "hem": uniform(26.0, 27.8),
    "hem_width": uniform(6.0, 8.2),
    "hem_curve": uniform(-0.5, 0.8),
    "sleeve": uniform(20.0, 23.5),
    "sleeve_width": uniform(2.1, 2.8),
    "sleeve_lean": uniform(0.1, 0.26),
    "cuff_width": uniform(1.2, 1.9),
    "sleeve_tone": maybe(0.15, -0.3, 0.25),
    "seam": uniform(0.1, 0.5),
    "neck_width": uniform(2.6, 4.6),
    "neck_depth": uniform(1.2, 3.6),
    "vee": uniform(0.0, 0.6),
    "lining": mixture((0.4, 0.8, 1.0), (0.6, 0.0, 0.5)),
    "neck_shade": uniform(0.05, 0.35),
    "gap": uniform(0.0, 0.0),
    "gap_shade": uniform(0.3, 0.8),
    "overlap": uniform(-0.6, 0.6),
    "placket": uniform(0.0, 0.0),
    "placket_width": uniform(0.0, 0.5),
    "buttons": uniform(0.0, 0.0),
    "button_step": uniform(2.6, 4.5),
    "collar": uniform(0.0, 0.0),
    "collar_lean": uniform(0.2, 0.9),
    "collar_width": uniform(0.5, 1.4),
    "collar_tone": uniform(-0.15, 0.2),
    "collar_edge": uniform(0.15, 0.6),
    "pocket": uniform(0.0, 0.0),
    "pocket_at": uniform(16.0, 21.0),
    "pocket_size": uniform(0.1, 1.2),
    "belt": uniform(0.0, 0.0),
    "band": maybe(0.2, -0.2, 0.15),
}

T_SHIRT: Ranges = TOP | {
    "speckle": maybe(0.18, 0.1, 0.3),
    "collar": maybe(0.12, 1.5, 3.2),
    "shoulder": mixture((0.85, 7.2, 9.2), (0.15, 5.8, 7.2)),
    "sleeve": mixture((0.76, 4.0, 8.0), (0.1, 0.0, 0.0), (0.11, 8.0, 14.0), (0.03, 18.0, 22.0)),
    "sleeve_width": uniform(2.6, 3.8),
    "cuff_width": uniform(2.2, 3.2),
    "neck_width": uniform(3.0, 5.6),
    "neck_depth": uniform(1.6, 6.0),
    "chest": uniform(5.4, 8.6),
    "print": maybe(0.35, -0.4, 0.3),
    "stripes": maybe(0.15, 0.1, 0.35),
    "placket": maybe(0.16, -0.3, -0.05),
}

PULLOVER: Ranges = TOP | {
    "sleeve": mixture((0.92, 20.0, 23.8), (0.08, 13.0, 20.0)),
    "rise": mixture((0.7, 0.2, 1.2), (0.3, 1.2, 3.0)),
    "hood": mixture((0.7, 0.8, 1.4), (0.3, 1.0, 2.4)),
    "band": maybe(0.6, -0.25, 0.2),
    "print": maybe(0.3, -0.35, 0.3),
    "stripes": maybe(0.2, 0.08, 0.3),
    "placket": maybe(0.14, -0.35, -0.05),
    "collar": maybe(0.1, 1.5, 3.5),
}

DRESS: Ranges = TOP | {
    "shoulder": mixture((0.82, 3.8, 6.6), (0.18, 6.4, 7.8)),
    "shoulder_slope": uniform(0.15, 0.4),
    "chest": uniform(3.6, 6.0),
    "waist": uniform(3.0, 5.6),
    "waist_at": uniform(10.0, 14.0),
    "hem_width": mixture((0.7, 4.0, 7.0), (0.3, 7.0, 9.5)),
    "hem_curve": uniform(-0.3, 0.8),
    "sleeve": mixture((0.45, 0.0, 0.0), (0.3, 2.5, 7.0), (0.25, 8.0, 20.0)),
    "sleeve_width": uniform(1.6, 2.4),
    "sleeve_lean": uniform(0.04, 0.2),
    "cuff_width": uniform(1.1, 1.8),
    "neck_width": uniform(2.0, 3.4),
    "neck_depth": uniform(1.5, 7.0),
    "belt": maybe(0.25, -0.35, 0.2),
    "placket": maybe(0.08, -0.2, -0.05),
}

COAT: Ranges = TOP | {
    "shoulder": mixture((0.9, 7.6, 9.4), (0.1, 5.6, 7.6)),
    "sleeve": mixture((0.97, 20.5, 24.0), (0.03, 14.0, 20.0)),
    "sleeve_width": uniform(2.3, 3.2),
    "rise": mixture((0.6, 0.4, 1.6), (0.4, 1.6, 3.0)),
    "hood": uniform(0.8, 2.4),
    "vee": uniform(0.2, 1.0),
    "neck_depth": uniform(0.8, 5.0),
    "gap": maybe(0.18, 0.5, 2.0),
    "placket": mixture((0.85, -0.5, -0.08), (0.15, -0.08, 0.0)),
    "placket_width": uniform(0.0, 0.8),
    "buttons": maybe(0.4, -0.5, 0.3),
    "overlap": uniform(-1.2, 1.2),
    "collar": maybe(0.7, 2.5, 6.0),
    "pocket": maybe(0.6, -0.35, 0.15),
    "belt": maybe(0.1, -0.3, -0.1),
    "stripes": maybe(0.05, 0.08, 0.2),
    "speckle": maybe(0.08, 0.08, 0.25),
}

SHIRT: Ranges = TOP | {
    "sleeve": mixture((0.58, 19.5, 23.5), (0.32, 4.0, 9.0), (0.1, 9.0, 18.0)),
    "sleeve_width": uniform(2.2, 3.4),
    "cuff_width": uniform(1.4, 2.6),
    "rise": uniform(0.3, 1.6),
    "vee": uniform(0.0, 1.0),
    "neck_depth": uniform(0.8, 3.6),
    "placket": mixture((0.76, -0.4, -0.05), (0.24, 0.0, 0.0)),
    "buttons": maybe(0.45, -0.4, 0.3),
    "collar": maybe(0.72, 1.8, 4.2),
    "pocket": maybe(0.15, -0.2, 0.15),
    "pocket_at": uniform(9.0, 12.0),
    "hem_curve": uniform(-0.4, 1.6),
    "stripes": maybe(0.16, 0.08, 0.3),
    "pinstripes": maybe(0.22, 0.08, 0.3),
    "speckle": maybe(0.22, 0.08, 0.35),
}


def draw_top(u: np.ndarray, v: np.ndarray, p: Parameters) -> Drawing:
    """Draws tops, dresses and coats; `u` is 0 on the middle line, `v` runs down from 0 at the collar."""
    side = np.abs(u)
    body, neck, flap = _torso(side, v, p), _neckline(side, v, p), _flap(side, v, p)
    standing_collar = shapes.ellipse(side, v - p["rise"] - 1.0, p["neck_width"] + p["hood"], p["rise"] + 0.6)
    cloth = shapes.coverage(shapes.union(body, _sleeve(side, v, p), standing_collar, flap))
    inside = shapes.coverage(np.maximum(neck, -flap))
    # The neckline shows the inside of the back, or the background.
    cover = cloth * (1.0 - inside * (1.0 - p["lining"]))
    tone = p["sleeve_tone"] * shapes.coverage(-body) - p["seam"] * shapes.line(body, 0.5) - p["neck_shade"] * inside
    tone += p["collar_tone"] * shapes.coverage(flap) - p["collar_edge"] * shapes.line(flap, 0.3)
    return cover, tone + _closure(u, side, v, p) + _trim(side, v, p)


def _torso(side: np.ndarray, v: np.ndarray, p: Parameters) -> np.ndarray:
    rise, hem = p["rise"], p["hem"]
    widths = (p["shoulder"], p["chest"], p["waist"], p["hem_width"])
    half_width = shapes.profile(v, (rise, rise + 6.0, p["waist_at"], hem), widths)
    shoulder_line = rise + p["shoulder_slope"] * np.maximum(side - p["neck_width"], 0.0)
    return shapes.intersection(side - half_width, shoulder_line - v, v - hem - p["hem_curve"] * side * side / 32.0)


def _sleeve(side: np.ndarray, v: np.ndarray, p: Parameters) -> np.ndarray:
    length, start = p["sleeve"], p["sleeve_width"]
    # Short sleeves stand off from the body, long ones hang.
    lean = p["sleeve_lean"] + np.maximum(14.0 - length, 0.0) * 0.05
    joint_u = p["shoulder"] - 0.8 * start
    joint_v = p["rise"] + p["shoulder_slope"] * (joint_u - p["neck_width"]) + 1.1 * start
    sleeve = shapes.strip(side - joint_u, v - joint_v, lean, length, start, p["cuff_width"])
    return shapes.if_present(length > 0.0, sleeve)


def _flap(side: np.ndarray, v: np.ndarray, p: Parameters) -> np.ndarray:
    """A half of a turned-down collar, from the side of the neck towards the middle."""
    flap = shapes.strip(side - p["neck_width"], v - p["rise"], -p["collar_lean"], p["collar"], 1.0, p["collar_width"])
    return shapes.if_present(p["collar"] > 0.0, np.maximum(flap, p["rise"] * 0.5 - v))


def _neckline(side: np.ndarray, v: np.ndarray, p: Parameters) -> np.ndarray:
    width, depth = p["neck_width"], p["neck_depth"]
    down = v - p["rise"] * 0.6
    vee = (side * depth / width + down - depth) * 0.7
    return np.where(p["vee"] > 0.5, vee, shapes.ellipse(side, down, width, depth))


def _closure(u: np.ndarray, side: np.ndarray, v: np.ndarray, p: Parameters) -> np.ndarray:
    """What runs down the front: a placket or zip, its buttons, or an open front that shows the lining."""
    down = v - p["rise"] - p["neck_depth"]
    offset = np.abs(u - p["overlap"])
    buttons = shapes.coverage(offset - 0.4) * np.maximum(shapes.triangle_wave(v / p["button_step"]) - 0.2, 0.0)
    # Half a pixel keeps a closed front (gap 0) closed.
    gap = shapes.coverage(side + 0.5 - p["gap"] * down / 14.0)
    front = p["placket"] * shapes.coverage(offset - p["placket_width"]) + p["buttons"] * buttons - p["gap_shade"] * gap
    return shapes.coverage(-down) * front


def _trim(side: np.ndarray, v: np.ndarray, p: Parameters) -> np.ndarray:
    pocket = shapes.coverage(shapes.box(side - 4.5, v - p["pocket_at"], 1.8, p["pocket_size"]))
    belt = shapes.coverage(np.abs(v - p["waist_at"]) - 0.8)
    band = shapes.coverage(p["hem"] - 2.0 - v)
    return p["pocket"] * pocket + p["belt"] * belt + p["band"] * band
