"""Reads many image files and folders of them for prediction: what cannot be read does not stop the others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fmnist_jax.data.dataset import FASHION_MNIST, Description
from fmnist_jax.data.images import read_images
from fmnist_jax.errors import ImageError

_PICTURES = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff", ".webp", ".avif", ".heic", ".ppm", ".pgm")
_SUFFIXES = (*_PICTURES, ".npy")


class ImageFiles(NamedTuple):
    """What was read: the images as of `read_images`, a name for each, and an error for each file that failed."""

    images: np.ndarray
    names: list[str]
    errors: list[ImageError]


def read_image_files(paths: Iterable[str], description: Description = FASHION_MNIST) -> ImageFiles:
    """Reads image files, and of folders those whose names end as images' do, in alphabetical order."""
    found = ImageFiles(np.empty((0, *description.array_shape), np.uint8), [], [])
    parts = [found.images]
    for path in _expanded(paths, found.errors):
        try:
            images = read_images(path, description)
        except ImageError as error:
            found.errors.append(error)
        else:
            parts.append(images)
            found.names.extend([path] if len(images) == 1 else [f"{path}[{i}]" for i in range(len(images))])
    return found._replace(images=np.concatenate(parts))


def _expanded(paths: Iterable[str], errors: list[ImageError]) -> Iterator[str]:
    for path in paths:
        if not Path(path).is_dir():
            yield path
            continue
        inside = sorted(str(file) for file in Path(path).iterdir() if file.suffix.lower() in _SUFFIXES)
        if not inside:
            errors.append(ImageError(f"the folder {path} holds no file that ends in {', '.join(_SUFFIXES)}"))
        yield from inside
