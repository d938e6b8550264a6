"""Draws shoes from the side, the toe on the left: sneakers and ankle boots closed, sandals from straps."""

from __future__ import annotations

import numpy as np

from fmnist_jax.data.synthetic.sampling import Parameters
from fmnist_jax.data.synthetic.shapes import coverage, ellipse, intersection, line, profile, strip, union

Drawing = tuple[np.ndarray, np.ndarray]


def draw_closed_shoe(u: np.ndarray, v: np.ndarray, p: Parameters) -> Drawing:
    """Draws sneakers and boots; `u` runs from the toe at 0 to the heel at 28, `v` downwards.

    **Returns:** coverage in [0, 1] and tone (to be added to the cloth's brightness), `float32[n, 28, 28]` each.
    """
    height = p["ground"] - v
    bed = _footbed(u, p)
    sole = _sole(u, height, bed, p)
    upper, shaft = _upper(u, height, bed, p), _shaft(u, height, p)
    top = height - p["sole"] - p["heel_lift"] - p["collar"] - p["shaft"]
    mouth = ellipse(u - 27.0 + p["shaft_width"], top, p["shaft_width"] - 0.5, p["mouth"])
    panel = intersection(upper, _stripe(u, height - bed, p))
    tone = p["sole_tone"] * coverage(height - bed) - p["welt"] * line(height - bed, 0.5)
    tone += p["stripe"] * coverage(panel) + p["laces"] * coverage(_laces(u, height - bed, p))
    return coverage(union(sole, upper, shaft)), tone - p["mouth_shade"] * coverage(mouth)


def draw_sandal(u: np.ndarray, v: np.ndarray, p: Parameters) -> Drawing:
    """Draws sandals; the same coordinates and results as `draw_closed_shoe`."""
    height = p["ground"] - v
    bed = _footbed(u, p)
    sole = _sole(u, height, bed, p)
    straps = union(_toe_strap(u, height - bed, p), _ankle_straps(u, height, p))
    tone = p["sole_tone"] * coverage(height - bed) - p["welt"] * line(height - bed, 0.4)
    return coverage(union(sole, straps)), tone


def _toe_strap(u: np.ndarray, height: np.ndarray, p: Parameters) -> np.ndarray:
    arch = ellipse(u - p["arch_at"], height, p["arch_width"], p["arch_height"])
    band = np.abs(arch) - p["strap_width"]
    return np.maximum(np.where(p["arch_filled"] > 0.5, arch, band), -height)


def _ankle_straps(u: np.ndarray, height: np.ndarray, p: Parameters) -> np.ndarray:
    """A strap up from the heel, the loop that it holds around the ankle, and a strap from there to the forefoot."""
    up, reach, width = height - p["sole"] - p["heel_lift"], p["ankle_height"], p["strap_width"]
    back = strip(u - 26.0, up, p["back_lean"], 1.0, reach, p["counter_width"], width)
    loop = ellipse(u - 26.0 - p["back_lean"] * reach + p["ankle_width"], up - reach, p["ankle_width"], p["loop_height"])
    front = strip(
        u - 26.0 + 1.8 * p["ankle_width"], up - reach, -p["front_lean"], -1.0, reach + p["heel_lift"], width, width
    )
    sling = np.where(p["sling"] > 0.5, np.maximum(front, -height), 99.0)
    return np.where(reach > 0.5, union(back, np.abs(loop) - width, sling), 99.0)


def _footbed(u: np.ndarray, p: Parameters) -> np.ndarray:
    return p["sole"] + p["heel_lift"] * profile(u, (9.0, 14.0, 22.0), (0.0, 0.25, 1.0))


def _sole(u: np.ndarray, height: np.ndarray, bed: np.ndarray, p: Parameters) -> np.ndarray:
    underside = (1.0 - p["wedge"]) * (bed - p["sole"]) + p["toe_spring"] * np.maximum(6.0 - u, 0.0) / 6.0
    plate = intersection(underside - height, height - bed, 0.3 - u, u - 27.5)
    heel_width = p["heel_width"] * (0.6 + 0.4 * height / (p["heel_lift"] + 1.0))
    heel = intersection(27.3 - heel_width - u, u - 27.3, -height, height - bed)
    return union(plate, heel)


def _upper(u: np.ndarray, height: np.ndarray, bed: np.ndarray, p: Parameters) -> np.ndarray:
    knots = (0.3, 3.0, 9.0, p["throat_at"], p["mouth_at"], 27.0)
    tops = (p["toe"] * 0.4, p["toe"], p["vamp"], p["tongue"], p["collar"], p["counter"])
    return intersection((height - bed - profile(u, knots, tops)) * 0.85, bed - 1.0 - height, 0.3 - u, u - 27.5)


def _shaft(u: np.ndarray, height: np.ndarray, p: Parameters) -> np.ndarray:
    width = p["shaft_width"]
    foot = height - p["heel_lift"] - p["sole"] - 2.0
    up = strip(
        u - 27.0 + width, foot, p["shaft_lean"], 1.0, p["shaft"] + p["collar"] - 2.0, width, p["shaft_top"] * width
    )
    return np.where(p["shaft"] > 0.5, up, 99.0)


def _stripe(u: np.ndarray, height: np.ndarray, p: Parameters) -> np.ndarray:
    return np.abs(u - p["stripe_at"] - p["stripe_slant"] * height) - p["stripe_width"]


def _laces(u: np.ndarray, height: np.ndarray, p: Parameters) -> np.ndarray:
    return ellipse(u - p["throat_at"] + 2.0, height - p["vamp"], 3.2, 1.4)
