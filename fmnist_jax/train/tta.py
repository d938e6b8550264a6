"""Test-time augmentation: predictions averaged over views of each image."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from fmnist_jax.train.network import Evaluated

Logits = Callable[[Evaluated, Array], Array]


class View(NamedTuple):
    """A way to look at an image: moved down and right by `offset` pixels, then mirrored where `flipped`."""

    weight: float
    flipped: bool
    offset: int = 0


# Those of airbench (Jordan 2024, arXiv 2404.00498, sec. 3.5), which moves up and left or down and right.
VIEWS = {
    "flip": [View(1 / 2, False), View(1 / 2, True)],
    "flip+translate": [
        View(weight, flipped, offset)
        for offset, weight in ((0, 1 / 4), (-1, 1 / 8), (1, 1 / 8))
        for flipped in (False, True)
    ],
}


def averaged(logits: Logits, tta: str) -> Logits:
    """Returns a function like `logits`: the logarithm of the class probabilities averaged over the views of `tta`.

    Its softmax is the averaged probabilities, and its cross-entropy minus their logarithm.

    **Arguments:**

    - `logits`: `logits(evaluated, images)`, from `uint8[batch, height, width]` or `[batch, height, width, channels]` to
      `float32[batch, classes]`.
    - `tta`: `config.eval.tta`; with `"none"`, `logits` itself is returned.
    """
    if tta == "none":
        return logits
    views = VIEWS[tta]
    log_weights = jnp.array([math.log(view.weight) for view in views])

    def of_views(evaluated: Evaluated, images: Array) -> Array:
        seen = jnp.stack([_viewed(images, view) for view in views])
        log_probabilities = lax.map(lambda images: jax.nn.log_softmax(logits(evaluated, images)), seen)
        return jax.nn.logsumexp(log_probabilities + log_weights[:, None, None], axis=0)

    return of_views


def _viewed(images: Array, view: View) -> Array:
    """Moves and mirrors images; what moves in is reflected about the border pixels."""
    height, width = images.shape[1:3]
    margin = abs(view.offset)
    padded = jnp.pad(images, [(0, 0), (margin, margin), (margin, margin), (0, 0)][: images.ndim], mode="reflect")
    first = margin - view.offset
    moved = padded[:, first : first + height, first : first + width]
    return moved[:, :, ::-1] if view.flipped else moved
