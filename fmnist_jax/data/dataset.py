"""A data set, as every source returns it: its description, and splits of images with labels; validation splits."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from fmnist_jax.errors import DataError

SPLITS = ("train", "val", "test")

# A constant, not the run's seed: runs with different seeds are then scored on the same images, and their spread is
# due to training, not to the split.
SPLIT_SEED = 0


@dataclasses.dataclass(frozen=True)
class Description:
    """What a network has to know about a data set.

    **Attributes:**

    - `name`: the source, such as `"fashion_mnist"`, `"csv"` or `"synthetic"` (never `"auto"`).
    - `class_names`: in the order of the labels.
    - `image_shape`: height, width and channels.
    - `margin`: of grey images that show one bright object on black, as Fashion-MNIST's do, the pixels between the
      object and the nearest edge: pictures for prediction are brought into that form. `None` for images of another
      kind: pictures are only converted and resized.
    """

    name: str
    class_names: tuple[str, ...]
    image_shape: tuple[int, int, int]
    margin: int | None = None

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    @property
    def array_shape(self) -> tuple[int, ...]:
        """The shape of an image in a `Split`: without the channels where there is one."""
        return self.image_shape if self.image_shape[2] > 1 else self.image_shape[:2]


_GARMENTS = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
FASHION_MNIST = Description("fashion_mnist", _GARMENTS, (28, 28, 1), margin=0)


@dataclasses.dataclass(frozen=True)
class Split:
    """Images and labels in the same order.

    **Attributes:**

    - `images`: `uint8[n, height, width]` for one channel, else `uint8[n, height, width, channels]`.
    - `labels`: unsigned integers `[n]`, each the position of a class name.
    """

    images: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)


@dataclasses.dataclass(frozen=True)
class Dataset:
    """A verified data set.

    **Attributes:**

    - `description`: its name, classes and image shape.
    - `train`, `val`, `test`: the splits. Where no validation examples are held out, `val` is `test`.
    - `origin`: where it was read from, for display: a folder, a cache, or "built in".
    - `digests`: SHA-256 in hex of each file or array that was read, by name, for the manifest.
    """

    description: Description
    train: Split
    val: Split
    test: Split
    origin: str
    digests: Mapping[str, str]

    @property
    def name(self) -> str:
        return self.description.name

    @property
    def synthetic(self) -> bool:
        return self.name == "synthetic"

    @property
    def display_name(self) -> str:
        """The name, for lines that people read: it is loud where the data are synthetic."""
        return "SYNTHETIC data" if self.synthetic else self.name

    @property
    def validation_is_test(self) -> bool:
        return self.val is self.test


def hold_out(split: Split, val_examples: int, seed: int = SPLIT_SEED) -> tuple[Split, Split]:
    """Returns `(train, val)`: a random validation set of `val_examples` images, stratified by class, and the rest.

    Class proportions in `val` are those of `split`, rounded by largest remainders, but `train` keeps at least one
    image of each class where `val_examples` allows it. Both keep the order of `split`.

    **Raises:** `DataError` unless `0 < val_examples < len(split)`.
    """
    if not 0 < val_examples < len(split):
        raise DataError(
            f"{val_examples} validation examples cannot be held out of {len(split)} training images; set "
            f"--config.data.val_examples to 0 (validate on the test set) or to at most {len(split) - 1}"
        )
    rng = np.random.default_rng(seed)
    held_out = np.zeros(len(split), bool)
    for label, count in enumerate(_apportion(np.bincount(split.labels), val_examples)):
        held_out[rng.permutation(np.flatnonzero(split.labels == label))[:count]] = True
    return _subset(split, ~held_out), _subset(split, held_out)


def _apportion(sizes: np.ndarray, total: int) -> np.ndarray:
    """Divides `total` in proportion to `sizes` by largest remainders, below each size where possible."""
    counts, remainders = np.divmod(sizes.astype(np.int64) * total, sizes.sum())
    for _ in range(total - counts.sum()):
        room = counts < sizes - 1
        if not room.any():
            room = counts < sizes
        largest = np.where(room, remainders, np.iinfo(np.int64).min).argmax()
        counts[largest] += 1
        remainders[largest] -= sizes.sum()
    return counts


def _subset(split: Split, mask: np.ndarray) -> Split:
    return Split(split.images[mask], split.labels[mask])
