"""A data set from arrays of one's own, checked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from fmnist_jax.data.dataset import Dataset, Description, Split
from fmnist_jax.data.raw_files import idx_digest
from fmnist_jax.errors import DataError

Arrays: TypeAlias = tuple[Any, Any]  # images and labels, whatever `np.asarray` takes

_SMALL = 2**8  # classes whose labels fit a byte


def dataset_from_arrays(
    train: Arrays, test: Arrays, *, class_names: Sequence[str] = (), name: str = "own", origin: str = "arrays"
) -> Dataset:
    """Returns the data set of these images and labels, for a loader that `register_dataset` takes.

    **Arguments:**

    - `train`, `test`: images `[n, height, width]` (grey) or `[n, height, width, channels]`, and labels, integers `[n]`
      from 0. Images are `uint8`, or what converts to it without loss: integers or floats in [0, 255] that are whole,
      floats in [0, 1] that are multiples of 1/255, booleans.
    - `class_names`: in the order of the labels; by default `"0"`, `"1"`, ...
    - `name`: for display; a registered data set has the name that it is registered under. `origin`: likewise.

    **Raises:** `DataError` for images that are not finite or cannot be converted without loss, labels that are no
    class, splits that are empty, differ in shape or in the number of images and labels, or class names of another
    number than the classes.
    """
    given = {"train": train, "test": test}
    images = {split: _images(np.asarray(pair[0]), split) for split, pair in given.items()}
    labels = {split: _labels(np.asarray(pair[1]), split, len(images[split])) for split, pair in given.items()}
    shape, other = (images[split].shape[1:] for split in given)
    if shape != other:
        raise DataError(f"the images of train are {_by(shape)}, those of test {_by(other)}; give all the same shape")
    names = _class_names(class_names, labels)
    dtype = np.uint8 if len(names) <= _SMALL else np.int32
    parts = {split: Split(images[split], labels[split].astype(dtype)) for split in given}
    digests = {}
    for split, part in parts.items():
        digests[f"{split}-images"], digests[f"{split}-labels"] = idx_digest(part.images), idx_digest(part.labels)
    height, width, channels = (*shape, 1)[:3]
    description = Description(name, names, (height, width, channels))
    return Dataset(description, parts["train"], parts["test"], parts["test"], origin, digests)


def _by(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))


def _images(array: np.ndarray, split: str) -> np.ndarray:
    """`uint8[n, height, width]`, or `[..., channels]` where there are several."""
    if array.ndim not in (3, 4) or 0 in array.shape[1:]:
        shape = "[n, height, width] or [n, height, width, channels]"
        raise DataError(f"the images of {split} have the shape {list(array.shape)}; give {shape}")
    if not len(array):
        raise DataError(f"{split} is empty; give one image or more")
    array = np.ascontiguousarray(_to_uint8(array, split))
    return array[..., 0] if array.ndim == 4 and array.shape[-1] == 1 else array


def _to_uint8(array: np.ndarray, split: str) -> np.ndarray:
    """The pixels as bytes, where that loses nothing but a float's rounding."""
    if array.dtype == np.uint8:
        return array
    if array.dtype == np.bool_:
        return np.where(array, np.uint8(255), np.uint8(0))
    if array.dtype.kind not in "iuf":
        raise DataError(f"the images of {split} are {array.dtype}; convert them to uint8, 0 to 255")
    if bad := int(array.size - np.isfinite(array).sum()):
        raise DataError(f"the images of {split} hold {bad:,} pixels that are not finite; leave out those images")
    low, high = array.min(), array.max()
    if low < 0 or high > 255:
        hint = "scale them to 0 to 255, as uint8; the mean is not to be subtracted"
        raise DataError(f"the images of {split} are {array.dtype} from {low:g} to {high:g}; {hint}")
    scale = 255 if array.dtype.kind == "f" and high <= 1 else 1
    pixels = np.rint(array * np.float64(scale))
    if array.dtype.kind == "f" and np.abs(pixels / scale - array).max() > np.finfo(array.dtype).eps:
        hint = f"round them, so that it is you who decides: np.rint({scale} * images).astype(np.uint8)"
        raise DataError(f"the images of {split} are {array.dtype} that no uint8 can hold without loss; {hint}")
    return pixels.astype(np.uint8)


def _labels(array: np.ndarray, split: str, images: int) -> np.ndarray:
    """Integers `[n]`, 0 or more."""
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        hint = "for one-hot rows that is labels.argmax(axis=1)"
        raise DataError(f"the labels of {split} have the shape {list(array.shape)}; give one integer an image, {hint}")
    if array.dtype.kind not in "iu":
        raise DataError(f"the labels of {split} are {array.dtype}; convert them to integers from 0")
    if len(array) != images:
        raise DataError(f"{split} has {images:,} images and {len(array):,} labels; give one label an image")
    if array.min() < 0:
        raise DataError(f"the labels of {split} go down to {array.min()}; give integers from 0")
    return array


def _class_names(given: Sequence[str], labels: dict[str, np.ndarray]) -> tuple[str, ...]:
    """The names, or the numbers of the classes where none are given; there are as many as the largest label says."""
    split = max(labels, key=lambda each: labels[each].max())
    classes, names = int(labels[split].max()) + 1, tuple(given)
    if not all(isinstance(name, str) and name.strip() for name in names) or len(set(names)) < len(names):
        raise DataError(f"class names must be strings that differ, not {names!r}")
    if names and len(names) < classes:
        raise DataError(f"{split} has the label {classes - 1}, but there are {len(names)} class names, labels from 0")
    if len(names) > classes:
        raise DataError(f"there are {len(names)} class names, but labels of {classes} classes, 0 to {classes - 1}")
    if classes < 2:
        raise DataError("all labels are 0; a network needs two classes or more to tell apart")
    return names or tuple(map(str, range(classes)))
