"""Where a garment lies in its image."""

from __future__ import annotations

import numpy as np

from fmnist_jax.data.dataset import IMAGE_SIZE
from fmnist_jax.data.synthetic.sampling import Parameters, Wardrobe, span

POSE: Wardrobe = {
    "axis": span(0.0, 0.0),
    "shift_x": span(-0.8, 0.8),
    "shift_y": span(-0.6, 0.6),
    "scale_x": span(0.94, 1.06),
    "scale_y": span(0.96, 1.04),
    "turn": span(-0.04, 0.04),
    "shear": span(-0.04, 0.04),
}


def place(p: Parameters) -> tuple[np.ndarray, np.ndarray]:
    """The garment's coordinates at each pixel: shifted, scaled, turned and sheared about the image's centre."""
    centre = 0.5 * (IMAGE_SIZE - 1)
    rows, columns = np.meshgrid(*[np.arange(IMAGE_SIZE, dtype=np.float32) - centre] * 2, indexing="ij")
    x, y = columns - p["shift_x"], rows - p["shift_y"]
    u = x / p["scale_x"] + (p["turn"] + p["shear"]) * y
    v = y / p["scale_y"] - p["turn"] * x
    return u + p["axis"], v + 0.5 * IMAGE_SIZE
