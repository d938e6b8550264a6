"""Reads pictures of any kind for prediction, and prepares each as the pictures of Fashion-MNIST were prepared.

The preparation follows section 2 of "Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning
Algorithms" (Xiao, Rasul, Vollgraf 2017, arXiv 1708.07747): trim to the garment, scale its longer side to 28 pixels,
sharpen, centre it on a square, turn it bright on black. The authors had thumbnails of 51x73 pixels on pure white; for
photographs we average over pixels where they skipped rows and columns, and take each pixel's distance from the
background where they negated, which on pure white is the same.
"""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Iterator

import numpy as np
from PIL import Image, ImageChops, ImageOps, UnidentifiedImageError
from scipy import ndimage

from fmnist_jax.data import idx
from fmnist_jax.data.dataset import IMAGE_SIZE
from fmnist_jax.data.files import open_unpacked
from fmnist_jax.errors import DataError, ImageError

# Not all that Pillow knows: some of its formats start other programs, others accept nearly any bytes.
_FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "AVIF", "PPM")
_KINDS = "PNG, JPEG, GIF, BMP, TIFF, WebP, AVIF, PPM, .npy or IDX"
_ARRAYS = "28x28, n x 28x28, or one picture as height x width, with x3 (RGB) or x4 (RGBA) where it has colour"
_NPY_MAGIC = b"\x93NUMPY"
_IDX_MAGIC = b"\x00\x00\x08"
_MAX_PIXELS = 2**26  # a picture of 8192x8192 takes 256 MiB while it is read
_SQUARE = (IMAGE_SIZE, IMAGE_SIZE)
_THUMBNAIL = (8 * IMAGE_SIZE, 8 * IMAGE_SIZE)
_NEAR = round(0.05 * 255)  # how far from the corners' colour the background may be, per channel


def read_images(path: str | os.PathLike[str]) -> np.ndarray:
    """Returns the images in the file at `path` as `uint8[n, 28, 28]`, bright garments on a dark background.

    The content decides what the file is, not its name:

    - a picture (PNG, JPEG, GIF, BMP, TIFF, WebP, AVIF, PPM; of several frames the first) of any size and colour mode,
      turned as its EXIF orientation says, transparency laid on white: prepared as the module says, `n` is 1;
    - a `.npy` file of `uint8`, or of floats in `[0, 1]`: 28x28, n x 28x28, or one picture as height x width
      [x 3 or 4 channels], prepared likewise;
    - an IDX file of n x 28 x 28, which is taken as it is.

    What is already 28x28 is only negated, and only if its background (the median of its border) is light.

    Raises `ImageError` naming `path` where it is missing, damaged, too large, or none of these.
    """
    try:
        with open_unpacked(path) as stream:
            head = stream.read(len(_NPY_MAGIC))
        if head == _NPY_MAGIC:
            return _read_npy(path)
        return _read_idx(path) if head.startswith(_IDX_MAGIC) else _read_picture(path, head)
    except DataError as error:
        raise ImageError(str(error)) from None


def _read_idx(path: str | os.PathLike[str]) -> np.ndarray:
    images = idx.read(path)
    if images.shape[1:] != _SQUARE:
        raise ImageError(f"{path} holds an array of shape {images.shape}, not images of 28x28")
    return _not_empty(images, path)


def _read_npy(path: str | os.PathLike[str]) -> np.ndarray:
    with _decoding(path):
        # Mapped, so that shape and dtype are judged before anything is read.
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    if array.ndim > 2 and array.shape[-1] == 1:
        array = array[..., 0]
    if array.ndim == 3 and array.shape[1:] == _SQUARE:
        return _on_dark(_to_uint8(array, path))
    if array.ndim != 2 and not (array.ndim == 3 and array.shape[-1] in (3, 4)):
        raise ImageError(f"{path} holds an array of shape {array.shape}; expected {_ARRAYS}")
    _check_pixels(array.shape[0] * array.shape[1], path)
    return _prepare(_to_rgb(Image.fromarray(_to_uint8(array, path)), path))[None]


def _read_picture(path: str | os.PathLike[str], head: bytes) -> np.ndarray:
    if not head:
        raise ImageError(f"{path} is empty")
    with _decoding(path), Image.open(path, formats=_FORMATS) as image:
        _check_pixels(image.width * image.height, path)
        rgb = _to_rgb(ImageOps.exif_transpose(image), path)
    return _prepare(rgb)[None]


@contextlib.contextmanager
def _decoding(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turns whatever a decoder raises into an `ImageError`; its warnings say nothing that the error does not."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except ImageError:
        raise
    except UnidentifiedImageError:
        raise ImageError(f"{path} is not an image of a known kind: {_KINDS}") from None
    except Image.DecompressionBombError:
        raise ImageError(_too_large(path)) from None
    # Given damaged bytes, Pillow's and numpy's decoders raise nearly everything that there is.
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ImageError(f"{path} is damaged and cannot be read ({reason})") from None


def _check_pixels(pixels: int, path: str | os.PathLike[str]) -> None:
    if pixels > _MAX_PIXELS:
        raise ImageError(_too_large(path))


def _too_large(path: str | os.PathLike[str]) -> str:
    return f"{path} is too large: a picture may have {_MAX_PIXELS:,} pixels; scale it down"


def _not_empty(array: np.ndarray, path: str | os.PathLike[str]) -> np.ndarray:
    if array.size == 0:
        raise ImageError(f"{path} holds no image: its array has the shape {array.shape}")
    return array


def _to_uint8(array: np.ndarray, path: str | os.PathLike[str]) -> np.ndarray:
    """`uint8` as it is; floats, which must be in `[0, 1]`, times 255."""
    array = _not_empty(np.asarray(array), path)
    if array.dtype == np.uint8:
        return array
    if not np.issubdtype(array.dtype, np.floating):
        raise ImageError(f"{path} holds values of type {array.dtype}; expected uint8, or floats in [0, 1]")
    low, high = float(array.min()), float(array.max())
    if not (low >= 0 and high <= 1):  # so written, NaN fails too
        raise ImageError(f"{path} holds floats from {low:g} to {high:g}; expected 0 to 1")
    return np.rint(array * 255).astype(np.uint8)


def _to_rgb(image: Image.Image, path: str | os.PathLike[str]) -> Image.Image:
    """Any colour mode to 8-bit RGB, transparency laid on white as in a shop's catalogue."""
    if image.mode == "F":
        image = Image.fromarray(_to_uint8(np.asarray(image), path))
    elif image.mode.startswith("I"):
        # Grey of 16 bits; Pillow's own conversion to 8 bits would cut all above 255.
        wide = np.asarray(image).astype(np.int64)
        image = Image.fromarray(((wide.clip(0, 65535) + 128) // 257).astype(np.uint8))
    elif image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def _prepare(image: Image.Image) -> np.ndarray:
    """Returns the RGB image as `uint8[28, 28]`, bright on dark."""
    if image.size == _SQUARE:
        return _on_dark(np.asarray(image.convert("L")))
    # Averages out a photograph's noise, of which one pixel would be enough to keep a margin from being trimmed.
    image.thumbnail(_THUMBNAIL, Image.Resampling.BOX)
    grey = image.convert("L")
    background = float(_background(np.asarray(grey)))
    return _centre(_contrast(_sharpen(_scale(grey.crop(_garment(image)))), background))


def _on_dark(images: np.ndarray) -> np.ndarray:
    """Negates those of `uint8[..., h, w]` whose background is light."""
    return np.where((_background(images) > 127)[..., None, None], 255 - images, images)


def _background(images: np.ndarray) -> np.ndarray:
    """The median of the border of each image: `uint8[..., h, w]` to `float[...]`."""
    edges = (images[..., 0, :], images[..., -1, :], images[..., 1:-1, 0], images[..., 1:-1, -1])
    return np.asarray(np.median(np.concatenate(edges, axis=-1), axis=-1))


def _garment(image: Image.Image) -> tuple[int, int, int, int]:
    """The box (left, upper, right, lower) of all that differs from the corners' colour; of a blank image, all of it."""
    corners = np.asarray(image)[[0, 0, -1, -1], [0, -1, 0, -1]]
    red, green, blue = np.median(corners, axis=0).astype(int).tolist()
    difference = ImageChops.difference(image, Image.new("RGB", image.size, (red, green, blue)))
    return difference.point([255 * (value > _NEAR) for value in range(256)] * 3).getbbox() or (0, 0, *image.size)


def _scale(image: Image.Image) -> Image.Image:
    """Brings the longer side to 28 pixels and keeps the aspect."""
    longest = max(image.size)
    width, height = (max(1, round(side * IMAGE_SIZE / longest)) for side in image.size)
    # Of all filters that average, the one that stays as crisp as skipping rows and columns.
    return image.resize((width, height), Image.Resampling.BOX)


def _sharpen(image: Image.Image) -> np.ndarray:
    """Returns `float32[h, w]`, in `[0, 255]`, sharpened as by ImageMagick with radius and standard deviation 1.

    There the 3x3 kernel is that of a Gaussian, negated, with twice its sum G in the middle; normalised, that is
    x + a (x - blurred x) with a = G / (G + 1) = 0.83.
    """
    pixels = np.asarray(image, np.float32)
    blurred = ndimage.gaussian_filter(pixels, sigma=1.0, radius=1, mode="nearest")
    return (pixels + 0.83 * (pixels - blurred)).clip(0, 255)


def _contrast(pixels: np.ndarray, background: float) -> np.ndarray:
    """The distance from the background, scaled to reach 255: on white the negative, on black what is there."""
    return np.abs(pixels - background) * (255 / max(background, 255 - background))


def _centre(pixels: np.ndarray) -> np.ndarray:
    """Puts `float[h, w]` in the middle of a black square: `uint8[28, 28]`."""
    canvas = np.zeros(_SQUARE, np.uint8)
    height, width = pixels.shape
    top, left = (IMAGE_SIZE - height) // 2, (IMAGE_SIZE - width) // 2
    canvas[top : top + height, left : left + width] = np.rint(pixels)
    return canvas
