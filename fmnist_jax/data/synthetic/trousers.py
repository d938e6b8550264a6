"""Draws trousers."""

from __future__ import annotations

import numpy as np

from fmnist_jax.data.synthetic.cloth import CLOTH
from fmnist_jax.data.synthetic.pose import POSE
from fmnist_jax.data.synthetic.sampling import Parameters, Wardrobe, maybe, mix, span
from fmnist_jax.data.synthetic.shapes import Drawing, coverage, intersection, line, profile

TROUSERS: Wardrobe = (
    POSE
    | CLOTH
    | {
        "stripes": maybe(0.03, 0.08, 0.2),
        "scale_x": span(0.9, 1.1),
        "waist": span(4.0, 5.6),
        "hip": span(4.8, 6.4),
        "knee": span(4.2, 6.4),
        "ankle": span(4.0, 7.2),
        "hem": mix((0.92, 26.5, 27.8), (0.08, 20.0, 26.0)),
        "crotch": span(6.5, 10.0),
        "gap": mix((0.85, 1.0, 4.0), (0.15, 0.1, 1.0)),
        "crease": span(-0.15, 0.15),
        "seam": span(0.0, 0.3),
        "band": maybe(0.5, -0.25, 0.1),
    }
)


def draw_trousers(u: np.ndarray, v: np.ndarray, p: Parameters) -> Drawing:
    """Draws trousers; `u` is 0 on the middle line, `v` runs down from 0 at the waist.

    **Returns:** coverage in [0, 1] and tone (to be added to the cloth's brightness), `float32[n, 28, 28]` each.
    """
    side = np.abs(u)
    outer = profile(v, (0.5, 6.0, 16.0, p["hem"]), (p["waist"], p["hip"], p["knee"], p["ankle"]))
    inner = profile(v, (p["crotch"], p["crotch"] + 3.0, p["hem"]), (0.0, p["gap"] * 0.4, p["gap"]))
    legs = intersection(side - outer, np.where(v > p["crotch"], inner - side, -9.0), 0.5 - v, v - p["hem"])
    crease = line(side - 0.5 * (inner + outer), 0.6)
    seam = coverage(intersection(side - 0.4, p["crotch"] - 4.0 - v))
    waistband = coverage(v - 2.0)
    return coverage(legs), p["crease"] * crease - p["seam"] * seam + p["band"] * waistband
