"""Gives a drawing its brightness: the cloth's tone, pattern and print, the light, and the camera's grain."""

from __future__ import annotations

import numpy as np

from fmnist_jax.data.synthetic.sampling import Parameters, Wardrobe, maybe, mix, span
from fmnist_jax.data.synthetic.shapes import box, coverage, ellipse, triangle_wave

CLOTH: Wardrobe = {
    "brightness": mix((0.65, 0.62, 0.95), (0.22, 0.35, 0.62), (0.13, 0.14, 0.35)),
    "light_u": span(-0.1, 0.1),
    "light_v": span(-0.15, 0.1),
    "grain": mix((0.7, 0.01, 0.04), (0.3, 0.04, 0.1)),
    "folds": span(0.0, 0.07),
    "fold_step": span(4.0, 10.0),
    "stripes": maybe(0.12, 0.06, 0.2),
    "pinstripes": maybe(0.06, 0.06, 0.2),
    "stripe_step": span(3.0, 7.0),
    "sharpness": span(1.0, 4.0),
    "phase": span(0.0, 1.0),
    "speckle": maybe(0.14, 0.1, 0.3),
    "print": span(0.0, 0.0),
    "print_at": span(8.0, 14.0),
    "print_width": span(2.0, 4.5),
    "print_height": span(0.8, 3.5),
    "round_print": span(0.0, 1.0),
    "block": maybe(0.06, -0.3, 0.3),
    "block_at": span(7.0, 20.0),
}


def shade(u: np.ndarray, v: np.ndarray, tone: np.ndarray, grain: np.ndarray, p: Parameters) -> np.ndarray:
    """The brightness in [0, 1] at each point of a garment.

    **Arguments:**

    - `u`, `v`: the garment's coordinates, `float32[n, 28, 28]`.
    - `tone`: what its shape adds to the brightness.
    - `grain`: uniform noise in [-1, 1].
    - `p`: the parameters of `CLOTH`.
    """
    light = 1.0 + p["light_u"] * u / 14.0 + p["light_v"] * (v - 14.0) / 14.0
    folds = p["folds"] * triangle_wave(u / p["fold_step"] + 0.06 * v + p["phase"])
    value = (p["brightness"] + tone + folds + _pattern(u, v, grain, p)) * light + p["grain"] * grain
    return np.clip(value, 0.03, 1.0)


def _pattern(u: np.ndarray, v: np.ndarray, grain: np.ndarray, p: Parameters) -> np.ndarray:
    across = np.clip(triangle_wave(v / p["stripe_step"] + p["phase"]) * p["sharpness"], -1.0, 1.0)
    down = np.clip(triangle_wave(u / p["stripe_step"] + p["phase"]) * p["sharpness"], -1.0, 1.0)
    coarse = _blur(grain)
    rectangle, disc = box(u, v - p["print_at"], p["print_width"], p["print_height"]), ellipse(u, v - 11.0, 4.0, 4.0)
    chest = coverage(np.where(p["round_print"] > 0.5, disc, rectangle)) * (1.0 + coarse)
    block = coverage(v - p["block_at"])
    return (
        p["stripes"] * across + p["pinstripes"] * down + p["speckle"] * coarse + p["print"] * chest + p["block"] * block
    )


def _blur(grain: np.ndarray) -> np.ndarray:
    """Blots about two pixels wide, of the same range as the grain."""
    rows = grain + np.roll(grain, 1, axis=1)
    return 0.5 * (rows + np.roll(rows, 1, axis=2))
