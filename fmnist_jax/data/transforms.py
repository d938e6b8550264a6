"""Random transformations of one training image, `float32[height, width, channels]`, for the caller to vmap.

Pixels that a transformation leaves empty are 0, the background of Fashion-MNIST.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
from jax import Array

Padding: TypeAlias = Literal["zero", "reflect"]

# Zhong et al. 2017, sec. 5.1: the erased share of the area, and the least ratio of height to width.
_ERASED_AREA, _ERASED_RATIO = (0.02, 0.4), 0.3
_ATTEMPTS = 10  # at a rectangle that fits; as many as torchvision's RandomErasing


class Mixed(NamedTuple):
    """A mixed image, and the share `float32[]` of its own label in the target; the rest is the partner's."""

    image: Array
    share: Array


def halved(images: Array) -> Array:
    """Returns `[batch, height / 2, width / 2, channels]`, the means of two by two pixels."""
    batch, height, width, channels = images.shape
    return images.reshape(batch, height // 2, 2, width // 2, 2, channels).mean((2, 4))


def flip(image: Array, flipped: Array) -> Array:
    """Returns the image, mirrored left to right where `flipped`, `bool[]`."""
    return jnp.where(flipped, image[:, ::-1], image)


def translate(image: Array, key: Array, pixels: int, padding: Padding) -> Array:
    """Moves the image by -`pixels` to `pixels` along each axis, uniformly; equals a random crop of the padded image.

    **Arguments:**

    - `padding`: what moves in: zeros, or the image reflected about its border pixels, as `np.pad` has it.
    """
    return shift(image, integers_below(key, [2 * pixels + 1] * 2) - pixels, padding)


def shift(image: Array, by: Array, padding: Padding) -> Array:
    """Moves the image down and right by `by`, `int32[2]`, each less than the image's size."""
    height, width = image.shape[:2]
    rows, columns = jnp.arange(height) - by[0], jnp.arange(width) - by[1]
    if padding == "reflect":
        rows, columns = _reflect(rows, height), _reflect(columns, width)
    pixels = image.at[rows[:, None], columns]
    return pixels.get(mode="fill", fill_value=0, wrap_negative_indices=False)


def _reflect(index: Array, size: int) -> Array:
    return (size - 1) - jnp.abs((size - 1) - jnp.abs(index))


def cutout(image: Array, key: Array, side: int) -> Array:
    """Blanks a square around a random pixel, cut off at the border (DeVries & Taylor 2017, arXiv 1708.04552)."""
    centre = integers_below(key, image.shape[:2])
    return jnp.where(_box(image, centre - side // 2, jnp.array([side, side])), 0, image)


def erase(image: Array, key: Array, probability: float) -> Array:
    """With `probability`, fills a random rectangle with noise in [0, 1] (Zhong et al. 2017, arXiv 1708.04896, RE-R)."""
    key, noise_key = jax.random.split(key)
    coin, top, left, *sizes = jax.random.uniform(key, (3 + 2 * _ATTEMPTS,))
    (low, high), least = _ERASED_AREA, _ERASED_RATIO
    area, ratio = jnp.stack(sizes).reshape(2, _ATTEMPTS)
    area, ratio = low + (high - low) * area, least + (1 / least - least) * ratio
    sides = jnp.array(image.shape[:2])
    tried = jnp.round(jnp.sqrt(sides.prod() * area * jnp.stack([ratio, 1 / ratio]))).astype(jnp.int32).T
    fits = (tried <= sides).all(axis=-1)
    size = tried[jnp.argmax(fits)]
    corner = jnp.floor(jnp.stack([top, left]) * (sides - size + 1)).astype(jnp.int32)
    erased = fits.any() & (coin < probability)
    return jnp.where(erased & _box(image, corner, size), _noise(noise_key, image.shape), image)


def _noise(key: Array, shape: tuple[int, ...]) -> Array:
    """Uniform noise of 256 levels in [0, 1]; four pixels of a random word, for drawing them is what takes longest."""
    words = jax.random.bits(key, (-(-math.prod(shape) // 4),))
    levels = jax.lax.bitcast_convert_type(words, jnp.uint8)
    return levels.ravel()[: math.prod(shape)].reshape(shape).astype(jnp.float32) / 255


def mixup(image: Array, partner: Array, key: Array, alpha: float) -> Mixed:
    """Averages two images with a weight of Beta(alpha, alpha) (Zhang et al. 2018, arXiv 1710.09412)."""
    u, v = jax.random.uniform(key, (2,))
    share = symmetric_beta(u, v, alpha)
    return Mixed(share * image + (1 - share) * partner, share)


def cutmix(image: Array, partner: Array, key: Array, alpha: float) -> Mixed:
    """Pastes a rectangle of the partner, of a share 1 - Beta(alpha, alpha) of the area before it is cut off at the
    border; the share of the label is that of the pixels that stay (Yun et al. 2019, arXiv 1905.04899, appendix A).
    """
    top, left, u, v = jax.random.uniform(key, (4,))
    sides = jnp.array(image.shape[:2])
    size = (jnp.sqrt(1 - symmetric_beta(u, v, alpha)) * sides).astype(jnp.int32)
    centre = jnp.floor(jnp.stack([top, left]) * sides).astype(jnp.int32)
    pasted = _box(image, centre - size // 2, size)
    return Mixed(jnp.where(pasted, partner, image), 1 - pasted.mean())


def symmetric_beta(u: Array, v: Array, alpha: float) -> Array:
    """Returns a draw of Beta(alpha, alpha) made of two uniform ones in [0, 1).

    It is Student's t of 2 alpha degrees of freedom, transformed (Devroye 1996, "Random variate generation in one line
    of code"); `jax.random.beta` runs loops, and takes several times as long to compile and to draw.
    """
    power, cosine = u ** (1 / alpha), jnp.cos(2 * jnp.pi * v)
    squared = (1 - power) * cosine**2
    return 0.5 + 0.5 * jnp.sign(cosine) * jnp.sqrt(squared / (power + squared))


def integers_below(key: Array, bounds: Sequence[int]) -> Array:
    """Returns a random integer from 0 up to below each bound; `randint` costs three times the compilation."""
    return (jax.random.bits(key, (len(bounds),)) % jnp.array(bounds, jnp.uint32)).astype(jnp.int32)


def _box(image: Array, corner: Array, size: Array) -> Array:
    """Returns `bool[height, width, 1]`: the pixels of the image in the box from its upper left corner on."""
    rows, columns = (jnp.arange(length) - first for length, first in zip(image.shape[:2], corner, strict=True))
    inside = ((rows >= 0) & (rows < size[0]))[:, None] & ((columns >= 0) & (columns < size[1]))
    return inside[..., None]
