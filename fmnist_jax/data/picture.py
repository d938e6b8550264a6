"""Brings a picture into the form of a data set's images.

Where these show one bright object on black, pictures are preprocessed as the images of Fashion-MNIST were (Xiao, Rasul,
Vollgraf 2017, "Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning Algorithms", section 2, arXiv
1708.07747): trim to the object, scale its longer side to that of the image, sharpen, centre it, make it bright on
black. The authors had thumbnails of 51x73 pixels on pure white and skipped rows and columns, then negated. For
photographs we average pixels instead, and take each pixel's distance from the background, which on pure white equals
negation.
"""

from __future__ import annotations

import os

import numpy as np
from PIL import Image, ImageOps
from scipy import ndimage

from fmnist_jax.data.dataset import Description
from fmnist_jax.errors import ImageError

_THUMBNAIL = 8  # a picture is first scaled down to so many times the size of the data set's images
_TOLERANCE = round(0.05 * 255)  # of the background, per channel, from the colour of the corners
_UNIFORM = 0.95  # of a ring's pixels must have its colour
_FRAME = 0.05  # the widest frame around a picture, as a share of its shorter side
_SPECK = 0.005  # of the largest spot that differs from the background: smaller ones are dirt
_FAINT = 0.25  # of the contrast in colour: where that in grey is less, colour decides


def preprocess(image: Image.Image, description: Description, path: str | os.PathLike[str]) -> np.ndarray:
    """Returns the RGB image in the shape of the data's images, which have one channel or three."""
    height, width, channels = description.image_shape
    if channels not in (1, 3):
        raise ImageError(f"{path} is a picture, but the run's images have {channels} channels; give them as .npy files")
    if channels == 1 and description.margin is not None:
        if not np.ptp(np.asarray(image), axis=(0, 1)).any():
            raise ImageError(f"{path} shows nothing: all of it has one colour")
        return _bright_on_dark(image, width, height, description.margin)
    fitting = image if image.size == (width, height) else ImageOps.fit(image, (width, height), Image.Resampling.BOX)
    return np.asarray(fitting.convert("L") if channels == 1 else fitting)


def _bright_on_dark(image: Image.Image, width: int, height: int, margin: int) -> np.ndarray:
    """Returns the RGB image as `uint8[height, width]`: its object centred, bright on dark."""
    if image.size == (width, height):
        return on_dark(np.asarray(image.convert("L")))
    # Averages out a photograph's noise: a single noisy pixel would keep a margin from being trimmed.
    image.thumbnail((_THUMBNAIL * width, _THUMBNAIL * height), Image.Resampling.BOX)
    image = _without_frame(image)
    contrast, background = _contrast(image)
    found = contrast.crop(_object(image))
    size = _fitted(found.size, (width - 2 * margin, height - 2 * margin))
    # Of the averaging filters, the one as crisp as skipping rows and columns.
    pixels = _sharpen(found.resize(size, Image.Resampling.BOX))
    # The distance from the background, scaled to reach 255: negation on white, the identity on black.
    bright = np.abs(pixels - background) * (255 / max(background, 255 - background))
    canvas = np.zeros((height, width), np.uint8)
    left, top = (width - size[0]) // 2, (height - size[1]) // 2
    canvas[top : top + size[1], left : left + size[0]] = np.rint(bright)
    return canvas


def _without_frame(image: Image.Image) -> Image.Image:
    """Returns the picture without a thin frame: a border of one colour around a border of another one."""
    pixels = np.asarray(image).astype(int)
    outermost = _colour_of_ring(pixels, 0)
    for depth in range(1, round(_FRAME * min(image.size)) + 1):
        inner = _colour_of_ring(pixels, depth)
        if outermost is None or inner is None or np.abs(inner - outermost).max() <= _TOLERANCE:
            continue
        inside = pixels[depth:-depth, depth:-depth]
        # An object of one colour that fills the picture is no background.
        return image if np.abs(inside - inner).max() <= _TOLERANCE else Image.fromarray(inside.astype(np.uint8))
    return image


def _colour_of_ring(pixels: np.ndarray, depth: int) -> np.ndarray | None:
    """Returns the colour, `[3]`, of the pixels `depth` away from the border, `None` if they have several."""
    inner = pixels[depth : len(pixels) - depth, depth : pixels.shape[1] - depth]
    ring = np.concatenate([inner[0], inner[-1], inner[:, 0], inner[:, -1]])
    colour: np.ndarray = np.median(ring, axis=0)
    return colour if np.mean(np.abs(ring - colour).max(axis=-1) <= _TOLERANCE) >= _UNIFORM else None


def _contrast(image: Image.Image) -> tuple[Image.Image, float]:
    """Returns the picture in grey, with the grey of its background.

    Where the object differs from the background in colour and hardly in grey, each pixel is its distance in colour, the
    largest of the three channels, and the background is 0.
    """
    grey, pixels = np.asarray(image.convert("L")), np.asarray(image).astype(int)
    background = float(_background(grey))
    colour = np.stack([_background(pixels[..., channel]) for channel in range(3)])
    distance = np.abs(pixels - colour).max(axis=-1)
    if np.abs(grey - background).max() < _FAINT * distance.max():
        return Image.fromarray(np.rint(distance).astype(np.uint8)), 0.0
    return Image.fromarray(grey), background


def _fitted(size: tuple[int, int], room: tuple[int, int]) -> tuple[int, int]:
    """The largest size of the same proportions that fits into the room, at least one pixel each way."""
    by_width = size[0] * room[1] >= size[1] * room[0]
    into, side = (room[0], size[0]) if by_width else (room[1], size[1])
    return max(1, round(size[0] * into / side)), max(1, round(size[1] * into / side))


def on_dark(images: np.ndarray) -> np.ndarray:
    """Negates those images of `uint8[..., h, w]` whose background is light."""
    return np.where((_background(images) > 127)[..., None, None], 255 - images, images)


def _background(images: np.ndarray) -> np.ndarray:
    """The median of the border of each image: `uint8[..., h, w]` to `float[...]`."""
    edges = (images[..., 0, :], images[..., -1, :], images[..., 1:-1, 0], images[..., 1:-1, -1])
    return np.asarray(np.median(np.concatenate(edges, axis=-1), axis=-1))


def _object(image: Image.Image) -> tuple[int, int, int, int]:
    """The box (left, upper, right, lower) of what differs from the corners' colour, specks of dirt left out."""
    pixels = np.asarray(image).astype(int)
    colour = np.median(pixels[[0, 0, -1, -1], [0, -1, 0, -1]], axis=0)
    spots, _ = ndimage.label(np.abs(pixels - colour).max(axis=-1) > _TOLERANCE, np.ones((3, 3)))
    sizes = np.bincount(spots.ravel())[1:]
    if not sizes.size:
        return (0, 0, *image.size)
    kept = np.isin(spots, 1 + np.flatnonzero(sizes >= _SPECK * sizes.max()))
    rows, columns = (np.flatnonzero(kept.any(axis=axis)) for axis in (1, 0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _sharpen(image: Image.Image) -> np.ndarray:
    """Returns `float32[h, w]`, in `[0, 255]`, sharpened as ImageMagick does with radius and sigma 1.

    ImageMagick's 3x3 kernel is a negated Gaussian with twice its sum G in the middle; normalised, that is
    x + a (x - blurred x) with a = G / (G + 1) = 0.83.
    """
    pixels = np.asarray(image, np.float32)
    blurred = ndimage.gaussian_filter(pixels, sigma=1.0, radius=1, mode="nearest")
    return (pixels + 0.83 * (pixels - blurred)).clip(0, 255)
