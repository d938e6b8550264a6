"""Reads image files for prediction: pictures of any kind, arrays and IDX files."""

from __future__ import annotations

import contextlib
import math
import os
import warnings
from collections.abc import Iterator

import numpy as np
from PIL import Image, ImageOps, ImageStat, UnidentifiedImageError

from fmnist_jax.data.dataset import FASHION_MNIST, Description
from fmnist_jax.data.picture import on_dark, preprocess
from fmnist_jax.data.raw_files import IDX_MAGIC, open_unpacked, read_idx
from fmnist_jax.errors import DataError, ImageError

# A subset of Pillow's formats: some others start external programs or accept nearly any bytes.
_FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "AVIF", "PPM")
_KNOWN_FORMATS = "PNG, JPEG, GIF, BMP, TIFF, WebP, AVIF, PPM, .npy or IDX"
_ARRAYS = "{0}, n x {0}, or one picture as height x width, with x3 (RGB) or x4 (RGBA) where it has colour"
_NPY_MAGIC = b"\x93NUMPY"
_MAX_PIXELS = 2**25  # decoding and converting so many takes 400 MiB
_MAX_BYTES = 2**28  # of an IDX file
_TOO_LARGE = f"is too large: a picture may have {_MAX_PIXELS:,} pixels, as JPEG any number; scale it down"
_TIFF_MAGIC = (b"II*\0", b"MM\0*")


def read_images(path: str | os.PathLike[str], description: Description = FASHION_MNIST) -> np.ndarray:
    """Returns the images in the file at `path` as those of the described data: `uint8[n, *description.array_shape]`.

    The content, not the name, decides the format:

    - a picture (PNG, JPEG, GIF, BMP, TIFF, WebP, AVIF, PPM; the first frame) of any size and colour mode, rotated by
      its EXIF orientation, what is transparent replaced by white or, behind a bright object, by black; `n` is 1. Where
      the data's images are bright objects on black, it is preprocessed as `fmnist_jax.data.picture` says; else it is
      converted to grey or RGB, cropped in the middle to their proportions and resized;
    - a `.npy` file of `uint8`, or of floats in `[0, 1]`: an image or n images in the shape of the data's, or flattened,
      or one picture as height x width [x 3 or 4 channels], treated likewise;
    - an IDX file of n images in the shape of the data's, returned unchanged.

    A picture that has the size of the data's images already is only negated, and only if they are bright objects on
    black and its background (the median of its border) is light.

    HEIC, as of telephones, needs the package pillow-heif.

    **Raises:** `ImageError` naming `path` where it is missing, damaged, too large, shows nothing, or is none of these.
    """
    try:
        with open_unpacked(path) as stream:
            head = stream.read(len(_NPY_MAGIC))
        if head == _NPY_MAGIC:
            return _read_npy(path, description)
        if not head.startswith(IDX_MAGIC):
            return _read_picture(path, head, description)
        images = read_idx(path, _MAX_BYTES)
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
    if array.ndim == 2 and array.shape[-1] == math.prod(shape):
        array = array.reshape(-1, *shape)
    if array.shape[-len(shape) :] == shape and array.ndim in (len(shape), len(shape) + 1):
        images = _to_uint8(array, path).reshape(-1, *shape)
        return images if description.margin is None else on_dark(images)
    if array.ndim != 2 and not (array.ndim == 3 and array.shape[-1] in (3, 4)):
        raise ImageError(
            f"{path} holds an array of shape {array.shape}; expected {_ARRAYS.format(_shape(description))}"
        )
    _check_pixels(array.shape[0] * array.shape[1], path)
    return preprocess(_to_rgb(Image.fromarray(_to_uint8(array, path)), path), description, path)[None]


def _read_picture(path: str | os.PathLike[str], head: bytes, description: Description) -> np.ndarray:
    if not head:
        raise ImageError(f"{path} is empty")
    quiet = _silenced_stderr() if head.startswith(_TIFF_MAGIC) else contextlib.nullcontext()
    with _decoding(path), quiet, Image.open(path, formats=_formats(head, path)) as image:
        if image.width * image.height > _MAX_PIXELS and image.format == "JPEG":
            height, width, _ = description.image_shape
            image.draft(None, (16 * width, 16 * height))  # decoded at a half, a quarter or an eighth of its size
        _check_pixels(image.width * image.height, path)
        rgb = _to_rgb(ImageOps.exif_transpose(image), path)
    return preprocess(rgb, description, path)[None]


def _formats(head: bytes, path: str | os.PathLike[str]) -> tuple[str, ...]:
    """Returns the formats to try, with HEIC for a file that begins like one."""
    if not head[4:].startswith(b"ft"):  # of ftyp, the name of the first box, after its size
        return _FORMATS
    try:
        import pillow_heif
    except ImportError:
        return _FORMATS  # AVIF begins likewise
    pillow_heif.register_heif_opener()
    return (*_FORMATS, "HEIF")


@contextlib.contextmanager
def _silenced_stderr() -> Iterator[None]:
    """Keeps libtiff's own messages, which it writes to the file descriptor, off the user's screen."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


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
        raise ImageError(f"{path} is not an image of a known kind: {_KNOWN_FORMATS}{_heic_hint(path)}") from None
    except Image.DecompressionBombError:
        raise ImageError(f"{path} {_TOO_LARGE}") from None
    # On damaged bytes, Pillow's and numpy's decoders raise almost any exception.
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ImageError(f"{path} is damaged and cannot be read ({reason})") from None


def _heic_hint(path: str | os.PathLike[str]) -> str:
    is_heic = str(path).lower().endswith((".heic", ".heif"))
    return "; HEIC needs the package pillow-heif: pip install fmnist_jax[heic]" if is_heic else ""


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
    """Converts any colour mode to 8-bit RGB; what is transparent becomes white or, behind a bright object, black."""
    if image.mode == "F":
        image = Image.fromarray(_to_uint8(np.asarray(image), path))
    elif image.mode.startswith("I"):
        # 16-bit grey; Pillow's own conversion to 8 bits clips everything above 255.
        wide = np.asarray(image)
        narrow = np.empty(wide.shape, np.uint8)
        for row, into in zip(wide, narrow, strict=True):  # row by row, for the sake of memory
            into[:] = (row.astype(np.int64).clip(0, 65535) + 128) // 257
        image = Image.fromarray(narrow)
    elif image.has_transparency_data:
        image = image.convert("RGBA")
        opaque = image.getchannel("A")
        is_bright = ImageStat.Stat(image.convert("L"), opaque).mean[0] > 127 if opaque.getbbox() else False
        image = Image.alpha_composite(Image.new("RGBA", image.size, "black" if is_bright else "white"), image)
    return image.convert("RGB")
