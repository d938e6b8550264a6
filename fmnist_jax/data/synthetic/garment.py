"""What all garments share: randomly sampled parameters, a pose and a cloth."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from fmnist_jax.data.dataset import FASHION_MNIST
from fmnist_jax.data.synthetic import shapes

# (probability, low, high)
Component = tuple[float, float, float]
Mixture = tuple[Component, ...]
# The distribution of each parameter of a garment.
Ranges = dict[str, Mixture]
Parameters = Mapping[str, np.ndarray]
_SIZE, *_ = FASHION_MNIST.image_shape  # the images are square

# Coverage in [0, 1] and tone (added to the cloth's brightness), `float32[n, 28, 28]` each.
Drawing = tuple[np.ndarray, np.ndarray]


def mixture(*components: Component) -> Mixture:
    """A mixture of uniform distributions over `[low, high)`; the probabilities sum to 1."""
    return components


def uniform(low: float, high: float) -> Mixture:
    """The uniform distribution over `[low, high)`."""
    return ((1.0, low, high),)


def maybe(probability: float, low: float, high: float) -> Mixture:
    """Uniform over `[low, high)` with this probability, else 0, which omits the feature."""
    return ((probability, low, high), (1.0 - probability, 0.0, 0.0))


def sample(ranges: Ranges, count: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Samples every parameter for `count` garments: name -> `float32[count, 1, 1]`."""
    sampled = {}
    for name, components in ranges.items():
        weights, lows, highs = np.array(components).T
        # The cumulative weights may round to less than 1: draws above them belong to the last component.
        component = np.searchsorted(np.cumsum(weights)[:-1], rng.random(count), side="right")
        low, high = lows[component], highs[component]
        values = low + (high - low) * rng.random(count)
        sampled[name] = values.astype(np.float32).reshape(count, 1, 1)
    return sampled


# Pose, then cloth.
GARMENT: Ranges = {
    "axis": uniform(0.0, 0.0),
    "shift_x": uniform(-0.8, 0.8),
    "shift_y": uniform(-0.6, 0.6),
    "scale_x": uniform(0.94, 1.06),
    "scale_y": uniform(0.96, 1.04),
    "turn": uniform(-0.04, 0.04),
    "shear": uniform(-0.04, 0.04),
    "brightness": mixture((0.65, 0.62, 0.95), (0.22, 0.35, 0.62), (0.13, 0.14, 0.35)),
    "light_u": uniform(-0.1, 0.1),
    "light_v": uniform(-0.15, 0.1),
    "grain": mixture((0.7, 0.01, 0.04), (0.3, 0.04, 0.1)),
    "folds": uniform(0.0, 0.07),
    "fold_step": uniform(4.0, 10.0),
    "stripes": maybe(0.12, 0.06, 0.2),
    "pinstripes": maybe(0.06, 0.06, 0.2),
    "stripe_step": uniform(3.0, 7.0),
    "sharpness": uniform(1.0, 4.0),
    "phase": uniform(0.0, 1.0),
    "speckle": maybe(0.14, 0.1, 0.3),
    "print": uniform(0.0, 0.0),
    "print_at": uniform(8.0, 14.0),
    "print_width": uniform(2.0, 4.5),
    "print_height": uniform(0.8, 3.5),
    "round_print": uniform(0.0, 1.0),
    "block": maybe(0.06, -0.3, 0.3),
    "block_at": uniform(7.0, 20.0),
}


def garment_coordinates(p: Parameters) -> tuple[np.ndarray, np.ndarray]:
    """The garment's coordinates `u`, `v` at each pixel: shifted, scaled, turned, sheared about the image's centre."""
    centre = 0.5 * (_SIZE - 1)
    rows, columns = np.meshgrid(*[np.arange(_SIZE, dtype=np.float32) - centre] * 2, indexing="ij")
    x, y = columns - p["shift_x"], rows - p["shift_y"]
    u = x / p["scale_x"] + (p["turn"] + p["shear"]) * y
    v = y / p["scale_y"] - p["turn"] * x
    return u + p["axis"], v + 0.5 * _SIZE


def shade(u: np.ndarray, v: np.ndarray, tone: np.ndarray, grain: np.ndarray, p: Parameters) -> np.ndarray:
    """The brightness in [0, 1] at each point of a garment.

    **Arguments:**

    - `u`, `v`: the garment's coordinates, `float32[n, 28, 28]`.
    - `tone`: what its shape adds to the brightness.
    - `grain`: uniform noise in [-1, 1].
    - `p`: the parameters of `GARMENT`.
    """
    light = 1.0 + p["light_u"] * u / 14.0 + p["light_v"] * (v - 14.0) / 14.0
    folds = p["folds"] * shapes.triangle_wave(u / p["fold_step"] + 0.06 * v + p["phase"])
    value = (p["brightness"] + tone + folds + _pattern(u, v, grain, p)) * light + p["grain"] * grain
    return np.clip(value, 0.03, 1.0)


def _pattern(u: np.ndarray, v: np.ndarray, grain: np.ndarray, p: Parameters) -> np.ndarray:
    across = np.clip(shapes.triangle_wave(v / p["stripe_step"] + p["phase"]) * p["sharpness"], -1.0, 1.0)
    down = np.clip(shapes.triangle_wave(u / p["stripe_step"] + p["phase"]) * p["sharpness"], -1.0, 1.0)
    # The grain, smoothed into blots about two pixels wide, in the same range.
    rows = grain + np.roll(grain, 1, axis=1)
    coarse = 0.5 * (rows + np.roll(rows, 1, axis=2))
    rectangle = shapes.box(u, v - p["print_at"], p["print_width"], p["print_height"])
    disc = shapes.ellipse(u, v - 11.0, 4.0, 4.0)
    chest = shapes.coverage(np.where(p["round_print"] > 0.5, disc, rectangle)) * (1.0 + coarse)
    block = shapes.coverage(v - p["block_at"])
    return (
        p["stripes"] * across + p["pinstripes"] * down + p["speckle"] * coarse + p["print"] * chest + p["block"] * block
    )
