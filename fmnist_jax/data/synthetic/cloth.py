"""Gives a drawing its brightness: the cloth's tone, pattern and print, the light, and the camera's grain."""

from __future__ import annotations

import numpy as np

from fmnist_jax.data.synthetic.sampling import Parameters
from fmnist_jax.data.synthetic.shapes import box, coverage, ellipse, triangle_wave


def shade(u: np.ndarray, v: np.ndarray, tone: np.ndarray, grain: np.ndarray, p: Parameters) -> np.ndarray:
    """The brightness in [0, 1] at each point of a garment.

    **Arguments:**

    - `u`, `v`: the garment's coordinates, `float32[n, 28, 28]`.
    - `tone`: what its shape adds to the brightness.
    - `grain`: uniform noise in [-1, 1].
    - `p`: the parameters of `wardrobe.CLOTH`.
    """
    light = 1.0 + p["light_u"] * u / 14.0 + p["light_v"] * (v - 14.0) / 14.0
    value = (p["brightness"] + tone + _pattern(u, v, grain, p)) * light + p["grain"] * grain
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
