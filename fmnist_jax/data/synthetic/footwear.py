"""Draws shoes from the side, the toe on the left: sneakers and ankle boots closed, sandals from straps."""

from __future__ import annotations

import numpy as np

from fmnist_jax.data.synthetic import shapes
from fmnist_jax.data.synthetic.garment import GARMENT, Drawing, Parameters, Ranges, maybe, mixture, uniform

FOOTWEAR: Ranges = GARMENT | {
    "brightness": mixture((0.7, 0.62, 0.95), (0.3, 0.35, 0.62)),
    "pinstripes": uniform(0.0, 0.0),
    "stripes": maybe(0.05, 0.05, 0.15),
    "speckle": maybe(0.08, 0.1, 0.3),
    "block": uniform(0.0, 0.0),
    "axis": uniform(14.0, 14.0),
    "turn": uniform(-0.03, 0.03),
    "scale_x": uniform(0.96, 1.02),
    "scale_y": uniform(0.94, 1.06),
    "lift": uniform(-0.8, 1.2),
    "sole": uniform(1.2, 3.0),
    "heel_lift": uniform(0.0, 0.8),
    "heel_width": uniform(6.0, 9.0),
    "wedge": uniform(1.0, 1.0),
    "toe_spring": uniform(0.0, 1.2),
    "sole_tone": mixture((0.5, -0.4, -0.1), (0.5, 0.05, 0.35)),
    "welt": uniform(0.0, 0.5),
}

CLOSED_SHOE: Ranges = FOOTWEAR | {
    "toe": uniform(2.2, 4.0),
    "vamp": uniform(3.5, 5.5),
    "tongue": uniform(5.5, 8.0),
    "throat_at": uniform(12.5, 16.0),
    "mouth_at": uniform(19.5, 22.5),
    "mouth": uniform(0.3, 1.6),
    "mouth_shade": uniform(0.0, 0.4),
    "collar": uniform(3.8, 6.0),
    "counter": uniform(5.8, 8.5),
    "shaft": uniform(0.0, 0.0),
    "shaft_width": uniform(4.5, 6.0),
    "shaft_top": uniform(0.85, 1.1),
    "shaft_lean": uniform(-0.05, 0.08),
    "stripe": mixture((0.6, -0.45, 0.4), (0.4, 0.0, 0.0)),
    "stripe_at": uniform(13.0, 18.0),
    "stripe_slant": uniform(-1.0, 1.0),
    "stripe_width": uniform(0.5, 2.5),
    "laces": mixture((0.4, -0.45, -0.15), (0.3, 0.1, 0.3), (0.3, 0.0, 0.0)),
}

SNEAKER: Ranges = CLOSED_SHOE | {
    "stripe_width": mixture((0.8, 0.5, 2.5), (0.2, 2.5, 5.0)),
    "stripe": mixture((0.6, -0.45, 0.4), (0.15, -0.95, -0.6), (0.25, 0.0, 0.0)),
    "shaft": maybe(0.15, 0.5, 5.0),
    "collar": mixture((0.88, 3.8, 6.0), (0.12, 0.5, 3.8)),
}

BOOT: Ranges = CLOSED_SHOE | {
    "sole": uniform(1.0, 2.6),
    "heel_lift": mixture((0.6, 0.3, 2.5), (0.4, 2.5, 8.0)),
    "heel_width": mixture((0.7, 5.0, 9.0), (0.3, 2.0, 5.0)),
    "wedge": mixture((0.3, 1.0, 1.0), (0.7, 0.0, 0.2)),
    "toe": uniform(2.4, 4.4),
    "vamp": uniform(3.8, 6.0),
    "tongue": uniform(7.5, 11.5),
    "throat_at": uniform(15.0, 18.0),
    "shaft_width": uniform(4.2, 5.6),
    "shaft_top": uniform(0.8, 1.15),
    "shaft_lean": uniform(-0.05, 0.05),
    "shaft": mixture((0.12, 2.0, 5.0), (0.88, 5.0, 13.0)),
    "mouth": uniform(0.0, 1.0),
    "stripe": maybe(0.3, -0.4, 0.3),
    "laces": maybe(0.3, -0.4, 0.2),
}

SANDAL: Ranges = FOOTWEAR | {
    "sole": uniform(0.8, 2.8),
    "heel_lift": mixture((0.5, 0.0, 1.0), (0.25, 1.0, 4.0), (0.25, 4.0, 11.0)),
    "heel_width": mixture((0.5, 1.2, 2.5), (0.5, 2.5, 8.0)),
    "wedge": mixture((0.55, 0.0, 0.1), (0.45, 0.9, 1.0)),
    "strap_width": uniform(0.35, 0.8),
    "arch_at": uniform(5.5, 9.5),
    "arch_width": mixture((0.8, 2.5, 6.0), (0.2, 6.5, 11.0)),
    "arch_height": uniform(2.0, 5.5),
    "arch_filled": maybe(0.4, 1.0, 1.0),
    "cross": uniform(0.0, 1.0),
    "cross_lean": uniform(-1.2, 1.2),
    "ankle_height": maybe(0.75, 2.5, 9.0),
    "ankle_width": uniform(1.6, 3.0),
    "loop_height": uniform(0.9, 2.2),
    "back_lean": uniform(-0.35, 0.05),
    "counter_width": mixture((0.65, 0.4, 1.4), (0.25, 1.4, 3.0), (0.1, 3.0, 6.0)),
    "sling": uniform(0.0, 1.0),
    "sling_lean": uniform(0.3, 1.6),
}


def draw_closed_shoe(u: np.ndarray, v: np.ndarray, p: Parameters) -> Drawing:
    """Draws sneakers and boots; `u` runs from the toe at 0 to the heel at 28, `v` downwards."""
    top = p["sole"] + p["heel_lift"] + p["collar"] + p["shaft"]
    height = _height(v, top, p)
    bed = _footbed(u, p)
    above = height - bed
    upper = _upper(u, above, p)
    stripe = np.abs(u - p["stripe_at"] - p["stripe_slant"] * above) - p["stripe_width"]
    laces = shapes.ellipse(u - p["throat_at"] + 2.0, above - p["vamp"], 3.2, 1.4)
    mouth = shapes.ellipse(u - 27.0 + p["shaft_width"], height - top, p["shaft_width"] - 0.5, p["mouth"])
    tone = p["stripe"] * shapes.coverage(np.maximum(upper, stripe)) + p["laces"] * shapes.coverage(laces)
    tone -= p["mouth_shade"] * shapes.coverage(mouth)
    shoe = shapes.union(_sole(u, height, bed, p), shapes.smooth_union(upper, _shaft(u, height, bed, p), 5.0))
    return shapes.coverage(shoe), tone + _sole_tone(above, p)


def draw_sandal(u: np.ndarray, v: np.ndarray, p: Parameters) -> Drawing:
    """Draws sandals; the same coordinates and results as `draw_closed_shoe`."""
    height = _height(v, p["sole"] + p["heel_lift"] + p["ankle_height"] + 2.0, p)
    bed = _footbed(u, p)
    straps = shapes.union(_toe_strap(u, height - bed, p), _ankle_straps(u, height, p))
    return shapes.coverage(shapes.union(_sole(u, height, bed, p), straps)), _sole_tone(height - bed, p)


def _height(v: np.ndarray, top: np.ndarray, p: Parameters) -> np.ndarray:
    """The height above the ground, which is placed so that a shoe of height `top` is centred in the image."""
    return 14.0 + p["lift"] + 0.5 * top - v


def _footbed(u: np.ndarray, p: Parameters) -> np.ndarray:
    return p["sole"] + p["heel_lift"] * shapes.profile(u, (9.0, 14.0, 22.0), (0.0, 0.25, 1.0))


def _sole(u: np.ndarray, height: np.ndarray, bed: np.ndarray, p: Parameters) -> np.ndarray:
    underside = (1.0 - p["wedge"]) * (bed - p["sole"]) + p["toe_spring"] * np.maximum(6.0 - u, 0.0) / 6.0
    plate = shapes.intersection(underside - height, height - bed, 0.3 - u, u - 27.5)
    heel_width = p["heel_width"] * (0.6 + 0.4 * height / (p["heel_lift"] + 1.0))
    heel = shapes.intersection(27.3 - heel_width - u, u - 27.3, -height, height - bed)
    return shapes.union(plate, heel)


def _sole_tone(above: np.ndarray, p: Parameters) -> np.ndarray:
    return p["sole_tone"] * shapes.coverage(above) - p["welt"] * shapes.line(above, 0.5)


def _upper(u: np.ndarray, above: np.ndarray, p: Parameters) -> np.ndarray:
    knots = (0.3, 2.2, 9.0, p["throat_at"], p["mouth_at"], 27.0)
    tops = (p["toe"] * 0.5, p["toe"], p["vamp"], p["tongue"], p["collar"], p["counter"])
    return shapes.intersection((above - shapes.profile(u, knots, tops)) * 0.85, -1.0 - above, 0.3 - u, u - 27.5)


def _shaft(u: np.ndarray, height: np.ndarray, bed: np.ndarray, p: Parameters) -> np.ndarray:
    width, reach = p["shaft_width"], p["shaft"] + p["collar"]
    above = height - p["heel_lift"] - p["sole"]
    leg = shapes.strip(u - 27.0 + width, above, p["shaft_lean"], reach, width, p["shaft_top"] * width)
    return shapes.if_present(p["shaft"] > 0.0, np.maximum(leg, bed - 1.0 - height))


def _toe_strap(u: np.ndarray, above: np.ndarray, p: Parameters) -> np.ndarray:
    from_arch, width = u - p["arch_at"], p["strap_width"]
    arch = shapes.ellipse(from_arch, above, p["arch_width"], p["arch_height"])
    cross = shapes.strip(from_arch, above, p["cross_lean"], p["arch_height"] + 1.0, width, width)
    band = shapes.union(np.abs(arch) - width, shapes.if_present(p["cross"] > 0.5, cross))
    return np.maximum(np.where(p["arch_filled"] > 0.5, arch, band), -above)


def _ankle_straps(u: np.ndarray, height: np.ndarray, p: Parameters) -> np.ndarray:
    """A strap up from the heel, the loop around the ankle, and a sling from the loop to the forefoot."""
    up, reach, width = height - p["sole"] - p["heel_lift"], p["ankle_height"], p["strap_width"]
    back = shapes.strip(u - 26.0, up, p["back_lean"], reach, p["counter_width"], width)
    middle = 26.0 + p["back_lean"] * reach - p["ankle_width"]
    loop = np.abs(shapes.ellipse(u - middle, up - reach, p["ankle_width"], p["loop_height"])) - width
    sling = shapes.strip(u - middle + 0.8 * p["ankle_width"], reach - up, -p["sling_lean"], 28.0, width, width)
    sling = np.maximum(sling, 0.3 * p["heel_lift"] + p["sole"] - height)
    return shapes.if_present(reach > 0.0, shapes.union(back, loop, shapes.if_present(p["sling"] > 0.5, sling)))
