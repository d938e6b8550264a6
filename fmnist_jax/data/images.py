"""Reads image files for prediction and brings them into the form of a data set's images.

Where these show one bright object on black, pictures are preprocessed as the images of Fashion-MNIST were (Xiao, Rasul,
Vollgraf 2017, "Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning Algorithms", section 2, arXiv
1708.07747): trim to the object, scale its longer side to that of the image, sharpen, centre it, make it bright on
black. The authors had thumbnails of 51x73 pixels on pure white and skipped rows and columns, then negated. For
photographs we average pixels instead, and take each pixel's distance from the background, which on pure white equals
negation.
"""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Iterator

import numpy as np
from PIL import Image, ImageChops, ImageOps, UnidentifiedImageError
from scipy import ndimage

from fmnist_jax.data.dataset import FASHION_MNIST, Description
from fmnist_jax.data.raw_files import IDX_MAGIC, open_unpacked, read_idx
from fmnist_jax.errors import DataError, ImageError

# A subset of Pillow's formats: some others start external programs or accept nearly any bytes.
_FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "AVIF", "PPM")
_KNOWN_FORMATS = "PNG, JPEG, GIF, BMP, TIFF, WebP, AVIF, PPM, .npy or IDX"
_ARRAYS = "{0}, n x {0}, or one picture as height x width, with x3 (RGB) or x4 (RGBA) where it has colour"
_NPY_MAGIC = b"\x93NUMPY"
_MAX_PIXELS = 2**26  # decoding 8192x8192 pixels takes 256 MiB
_TOO_LARGE = f"is too large: a picture may have {_MAX_PIXELS:,} pixels; scale it down"
_THUMBNAIL = 8  # a picture is first scaled down to so many times the size of the data set's images
_TOLERANCE = round(0.05 * 255)  # of the background, per channel, from the colour of the corners


def read_images(path: str | os.PathLike[str], description: Description = FASHION_MNIST) -> np.ndarray:
    """Returns the images in the file at `path` as those of the described data: `uint8[n, *description.array_shape]`.

    The content, not the name, decides the format:

    - a picture (PNG, JPEG, GIF, BMP, TIFF, WebP, AVIF, PPM; the first frame) of any size and colour mode, rotated by
      its EXIF orientation and composited on white; `n` is 1. Where the data's images are bright objects on black, it is
      preprocessed as the module's docstring says; else it is converted to grey or RGB, cropped in the middle to their
      proportions and resized;
    - a `.npy` file of `uint8`, or of floats in `[0, 1]`: an image or n images in the shape of the data's, or one
      picture as height x width [x 3 or 4 channels], treated likewise;
    - an IDX file of n images in the shape of the data's, returned unchanged.

    A picture that has the size of the data's images already is only negated, and only if they are bright objects on
    black and its background (the median of its border) is light.

    **Raises:** `ImageError` naming `path` where it is missing, damaged, too large, or none of these.
    """
    try:
        with open_unpacked(path) as stream:
            head = stream.read(len(_NPY_MAGIC))
        if head == _NPY_MAGIC:
            return _read_npy(path, description)
        if not head.startswith(IDX_MAGIC):
            return _read_picture(path, head, description)
        images = read_idx(path)
    except DataError as error:
        raise ImageError(str(error)) from None
    if images.shape[1:] != description.array_shape:
        raise ImageError(f"{path} holds an array of shape {images.shape}, not images of {_shape(description)}")
    return _not_empty(images, path)


def _shape(description: Description) -> str:
    return "x".join(map(str, description.array_shape))


def _read_npy(path: str | os.PathLike[str], description: Description) -> np.ndarray:
    with _decoding(path):
        # Memory-mapped, to check shape and dtype before reading.
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    shape = description.array_shape
    if array.ndim > 2 and array.shape[-1] == 1:
        array = array[..., 0]
    if array.shape[-len(shape) :] == shape and array.ndim in (len(shape), len(shape) + 1):
        images = _to_uint8(array, path).reshape(-1, *shape)
        return images if description.margin is None else _on_dark(images)
    if array.ndim != 2 and not (array.ndim == 3 and array.shape[-1] in (3, 4)):
        raise ImageError(
            f"{path} holds an array of shape {array.shape}; expected {_ARRAYS.format(_shape(description))}"
        )
    _check_pixels(array.shape[0] * array.shape[1], path)
    return _preprocess(_to_rgb(Image.fromarray(_to_uint8(array, path)), path), description, path)[None]


def _read_picture(path: str | os.PathLike[str], head: bytes, description: Description) -> np.ndarray:
    if not head:
        raise ImageError(f"{path} is empty")
    with _decoding(path), Image.open(path, formats=_FORMATS) as image:
        _check_pixels(image.width * image.height, path)
        rgb = _to_rgb(ImageOps.exif_transpose(image), path)
    return _preprocess(rgb, description, path)[None]


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


def _preprocess(image: Image.Image, description: Description, path: str | os.PathLike[str]) -> np.ndarray:
    """Returns the RGB image in the shape of the data's images, which have one channel or three."""
    height, width, channels = description.image_shape
    if channels not in (1, 3):
        raise ImageError(f"{path} is a picture, but the run's images have {channels} channels; give them as .npy files")
    if channels == 1 and description.margin is not None:
        return _bright_on_dark(image, width, height, description.margin)
    fitting = image if image.size == (width, height) else ImageOps.fit(image, (width, height), Image.Resampling.BOX)
    return np.asarray(fitting.convert("L") if channels == 1 else fitting)


def _bright_on_dark(image: Image.Image, width: int, height: int, margin: int) -> np.ndarray:
    """Returns the RGB image as `uint8[height, width]`: its object centred, bright on dark."""
    if image.size == (width, height):
        return _on_dark(np.asarray(image.convert("L")))
    # Averages out a photograph's noise: a single noisy pixel would keep a margin from being trimmed.
    image.thumbnail((_THUMBNAIL * width, _THUMBNAIL * height), Image.Resampling.BOX)
    grey = image.convert("L")
    background = float(_background(np.asarray(grey)))
    found = grey.crop(_object(image))
    size = _fitted(found.size, (width - 2 * margin, height - 2 * margin))
    # Of the averaging filters, the one as crisp as skipping rows and columns.
    pixels = _sharpen(found.resize(size, Image.Resampling.BOX))
    # The distance from the background, scaled to reach 255: negation on white, the identity on black.
    bright = np.abs(pixels - background) * (255 / max(background, 255 - background))
    canvas = np.zeros((height, width), np.uint8)
    left, top = (width - size[0]) // 2, (height - size[1]) // 2
    canvas[top : top + size[1], left : left + size[0]] = np.rint(bright)
    return canvas


def _fitted(size: tuple[int, int], room: tuple[int, int]) -> tuple[int, int]:
    """The largest size of the same proportions that fits into the room, at least one pixel each way."""
    by_width = size[0] * room[1] >= size[1] * room[0]
    into, side = (room[0], size[0]) if by_width else (room[1], size[1])
    return max(1, round(size[0] * into / side)), max(1, round(size[1] * into / side))


def _on_dark(images: np.ndarray) -> np.ndarray:
    """Negates those images of `uint8[..., h, w]` whose background is light."""
    return np.where((_background(images) > 127)[..., None, None], 255 - images, images)


def _background(images: np.ndarray) -> np.ndarray:
    """The median of the border of each image: `uint8[..., h, w]` to `float[...]`."""
    edges = (images[..., 0, :], images[..., -1, :], images[..., 1:-1, 0], images[..., 1:-1, -1])
    return np.asarray(np.median(np.concatenate(edges, axis=-1), axis=-1))


def _object(image: Image.Image) -> tuple[int, int, int, int]:
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
