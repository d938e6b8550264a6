"""What every data source returns: three splits of 28x28 grey images with labels, and where they came from."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

IMAGE_SIZE = 28
CLASS_NAMES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
NUM_CLASSES = len(CLASS_NAMES)
SPLITS = ("train", "val", "test")


@dataclasses.dataclass(frozen=True)
class Split:
    """Images and labels in the same order.

    **Attributes:**

    - `images`: `uint8[n, 28, 28]`, 0 is background, 255 the brightest garment.
    - `labels`: `uint8[n]`, each in `[0, 10)`; see `CLASS_NAMES`.
    """

    images: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)


@dataclasses.dataclass(frozen=True)
class Dataset:
    """A verified data set.

    **Attributes:**

    - `name`: the source that was used: `"fashion_mnist"`, `"csv"` or `"synthetic"` (never `"auto"`).
    - `train`, `val`, `test`: the splits. Where no validation examples were asked for, `val` is `test`.
    - `origin`: where it came from, for people: a folder, a cache, or "built in".
    - `digests`: what was read, name -> SHA-256 in hex, for the manifest.
    """

    name: str
    train: Split
    val: Split
    test: Split
    origin: str
    digests: Mapping[str, str]

    @property
    def synthetic(self) -> bool:
        return self.name == "synthetic"

    @property
    def validation_is_test(self) -> bool:
        return self.val is self.test
