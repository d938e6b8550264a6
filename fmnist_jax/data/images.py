"""Reads image files for prediction and preprocesses them as the images of Fashion-MNIST were.

The preprocessing follows section 2 of "Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning
Algorithms" (Xiao, Rasul, Vollgraf 2017, arXiv 1708.07747): trim to the garment, scale its longer side to 28 pixels,
sharpen, centre it on a square, make it bright on black. The authors had thumbnails of 51x73 pixels on pure white and
skipped rows and columns, then negated. For photographs we average pixels instead, and take each pixel's distance from
the background, which on pure white equals negation.
"""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Iterator

import numpy as np
from PIL import Image, ImageChops, ImageOps, UnidentifiedImageError
from scipy import ndimage

from fmnist_jax.data.dataset import IMAGE_SIZE
from fmnist_jax.data.raw_files import IDX_MAGIC, open_unpacked, read_idx
from fmnist_jax.errors import DataError, ImageError

# A subset of Pillow's formats: some others start external programs or accept nearly any bytes.
_FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "AVIF", "PPM")
_KNOWN_FORMATS = "PNG, JPEG, GIF, BMP, TIFF, WebP, AVIF, PPM, .npy or IDX"
_ARRAYS = "28x28, n x 28x28, or one picture as height x width, with x3 (RGB) or x4 (RGBA) where it has colour"
_NPY_MAGIC = b"\x93NUMPY"
_MAX_PIXELS = 2**26  # decoding 8192x8192 pixels takes 256 MiB
_TOO_LARGE = f"is too large: a picture may have {_MAX_PIXELS:,} pixels; scale it down"
_SQUARE = (IMAGE_SIZE, IMAGE_SIZE)
_THUMBNAIL = (8 * IMAGE_SIZE, 8 * IMAGE_SIZE)
_TOLERANCE = round(0.05 * 255)  # of the background, per channel, from the colour of the corners


def read_images(path: str | os.PathLike[str]) -> np.ndarray:
    """Returns the images in the file at `path` as `uint8[n, 28, 28]`, bright garments on a dark background.

    The content, not the name, decides the format:

    - a picture (PNG, JPEG, GIF, BMP, TIFF, WebP, AVIF, PPM; the first frame) of any size and colour mode, rotated by
      its EXIF orientation, composited on white and preprocessed as the module's docstring says; `n` is 1;
    - a `.npy` file of `uint8`, or of floats in `[0, 1]`: 28x28, n x 28x28, or one picture as height x width
      [x 3 or 4 channels], preprocessed likewise;
    - an IDX file of n x 28 x 28, returned unchanged.

    A 28x28 picture is only negated, and only if its background (the median of its border) is light.

    **Raises:** `ImageError` naming `path` where it is missing, damaged, too large, or none of these.
    """
    try:
        with open_unpacked(path) as stream:
            head = stream.read(len(_NPY_MAGIC))
        if head == _NPY_MAGIC:
            return _read_npy(path)
        if not head.startswith(IDX_MAGIC):
            return _read_picture(path, head)
        images = read_idx(path)
    except DataError as error:
        raise ImageError(str(error)) from None
    if images.shape[1:] != _SQUARE:
        raise ImageError(f"{path} holds an array of shape {images.shape}, not images of 28x28")
    return _not_empty(images, path)


def _read_npy(path: str | os.PathLike[str]) -> np.ndarray:
    with _decoding(path):
        # Memory-mapped, to check shape and dtype before reading.
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    if array.ndim > 2 and array.shape[-1] == 1:
        array = array[..., 0]
    if array.ndim == 3 and array.shape[1:] == _SQUARE:
        return _on_dark(_to_uint8(array, path))
    if array.ndim != 2 and not (array.ndim == 3 and array.shape[-1] in (3, 4)):
        raise ImageError(f"{path} holds an array of shape {array.shape}; expected {_ARRAYS}")
    _check_pixels(array.shape[0] * array.shape[1], path)
    return _preprocess(_to_rgb(Image.fromarray(_to_uint8(array, path)), path))[None]


def _read_picture(path: str | os.PathLike[str], head: bytes) -> np.ndarray:
    if not head:
        raise ImageError(f"{path} is empty")
    with _decoding(path), Image.open(path, formats=_FORMATS) as image:
        _check_pixels(image.width * image.height, path)
        rgb = _to_rgb(ImageOps.exif_transpose(image), path)
    return _preprocess(rgb)[None]


@contextlib.contextmanager
def _decoding(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turns any exception of a decoder into an `ImageError`, and silences its warnings."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except ImageError:
        raise
    except UnidentifiedImageError:
        raise ImageError(f"{path} is not an image of a known kind: {_KNOWN_FORMATS}") from None
    except Image.DecompressionBombError:
        raise ImageError(f"{path} {_TOO_LARGE}") from None
    # On damaged bytes, Pillow's and numpy's decoders raise almost any exception.
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ImageError(f"{path} is damaged and cannot be read ({reason})") from None


def _check_pixels(pixels: int, path: str | os.PathLike[str]) -> None:
    if pixels > _MAX_PIXELS:
        raise ImageError(f"{path} {_TOO_LARGE}")


def _not_empty(array: np.ndarray, path: str | os.PathLike[str]) -> np.ndarray:
    if array.size == 0:
        raise ImageError(f"{path} holds no image: its array has the shape {array.shape}")
    return array


def _to_uint8(array: np.ndarray, path: str | os.PathLike[str]) -> np.ndarray:
    """Returns `uint8` unchanged, and floats, which must be in `[0, 1]`, times 255."""
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
    """Converts any colour mode to 8-bit RGB, composited on white as in a shop's catalogue."""
    if image.mode == "F":
        image = Image.fromarray(_to_uint8(np.asarray(image), path))
    elif image.mode.startswith("I"):
        # 16-bit grey; Pillow's own conversion to 8 bits clips everything above 255.
        wide = np.asarray(image).astype(np.int64)
        image = Image.fromarray(((wide.clip(0, 65535) + 128) // 257).astype(np.uint8))
    elif image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def _preprocess(image: Image.Image) -> np.ndarray:
    """Returns the RGB image as `uint8[28, 28]`, bright on dark."""
    if image.size == _SQUARE:
        return _on_dark(np.asarray(image.convert("L")))
    # Averages out a photograph's noise: a single noisy pixel would keep a margin from being trimmed.
    image.thumbnail(_THUMBNAIL, Image.Resampling.BOX)
    grey = image.convert("L")
    background = float(_background(np.asarray(grey)))
    garment = grey.crop(_garment(image))
    longest = max(garment.size)
    width, height = (max(1, round(side * IMAGE_SIZE / longest)) for side in garment.size)
    # Of the averaging filters, the one as crisp as skipping rows and columns.
    pixels = _sharpen(garment.resize((width, height), Image.Resampling.BOX))
    # The distance from the background, scaled to reach 255: negation on white, the identity on black.
    bright = np.abs(pixels - background) * (255 / max(background, 255 - background))
    canvas = np.zeros(_SQUARE, np.uint8)
    top, left = (IMAGE_SIZE - height) // 2, (IMAGE_SIZE - width) // 2
    canvas[top : top + height, left : left + width] = np.rint(bright)
    return canvas


def _on_dark(images: np.ndarray) -> np.ndarray:
    """Negates those images of `uint8[..., h, w]` whose background is light."""
    return np.where((_background(images) > 127)[..., None, None], 255 - images, images)


def _background(images: np.ndarray) -> np.ndarray:
    """The median of the border of each image: `uint8[..., h, w]` to `float[...]`."""
    edges = (images[..., 0, :], images[..., -1, :], images[..., 1:-1, 0], images[..., 1:-1, -1])
    return np.asarray(np.median(np.concatenate(edges, axis=-1), axis=-1))


def _garment(image: Image.Image) -> tuple[int, int, int, int]:
    """The box (left, upper, right, lower) of what differs from the corners' colour; the whole of a blank image."""
    corners = np.asarray(image)[[0, 0, -1, -1], [0, -1, 0, -1]]
    red, green, blue = np.median(corners, axis=0).astype(int).tolist()
    difference = ImageChops.difference(image, Image.new("RGB", image.size, (red, green, blue)))
    differs = difference.point([255 * (value > _TOLERANCE) for value in range(256)] * 3)
    return differs.getbbox() or (0, 0, *image.size)


def _sharpen(image: Image.Image) -> np.ndarray:
    """Returns `float32[h, w]`, in `[0, 255]`, sharpened as ImageMagick does with radius and sigma 1.

    ImageMagick's 3x3 kernel is a negated Gaussian with twice its sum G in the middle; normalised, that is
    x + a (x - blurred x) with a = G / (G + 1) = 0.83.
    """
    pixels = np.asarray(image, np.float32)
    blurred = ndimage.gaussian_filter(pixels, sigma=1.0, radius=1, mode="nearest")
    return (pixels + 0.83 * (pixels - blurred)).clip(0, 255)
