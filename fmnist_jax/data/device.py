"""The data set on the device: uint8, copied once, normalised where it is used."""

from __future__ import annotations

from typing import NamedTuple
from weakref import WeakValueDictionary

import jax.numpy as jnp
from jax import Array
from jax.sharding import Sharding

from fmnist_jax.data.dataset import Dataset, Split
from fmnist_jax.runtime import processes


class DeviceSplit(NamedTuple):
    """A split on the device.

    **Attributes:**

    - `images`: `uint8[n, height, width]` or `uint8[n, height, width, channels]`.
    - `labels`: `int32[n]`.
    """

    images: Array
    labels: Array


def put(split: Split, sharding: Sharding | None = None) -> DeviceSplit:
    """Returns `split` on the devices of `sharding`, by default on JAX's default device; a pytree, to pass to `jit`."""
    on_device = DeviceSplit(jnp.asarray(split.images), jnp.asarray(split.labels, jnp.int32))
    return on_device if sharding is None else processes.put(on_device, sharding)


class DeviceDataset:
    """The splits of a data set on the devices of a sharding, each put there when it is first used.

    `on_device` makes them, so that all who use a data set at the same time share one copy.
    """

    def __init__(self, dataset: Dataset, sharding: Sharding):
        self._dataset, self._sharding = dataset, sharding
        self._splits: dict[int, DeviceSplit] = {}

    def __getitem__(self, name: str) -> DeviceSplit:
        split = getattr(self._dataset, name)
        if id(split) not in self._splits:  # one copy, too, where "val" is "test"
            self._splits[id(split)] = put(split, self._sharding)
        return self._splits[id(split)]

    def nbytes(self, *, resident: bool = False) -> int:
        """Returns the bytes of all splits on each device; with `resident`, of those that are there now."""
        splits = {id(split): split for split in (self._dataset.train, self._dataset.val, self._dataset.test)}
        return sum(
            split.images.nbytes + 4 * len(split) for key, split in splits.items() if not resident or key in self._splits
        )


# An entry holds its data set, so that the id in its key is no other's; it goes with its last user.
_ON_DEVICE: WeakValueDictionary[tuple[int, Sharding], DeviceDataset] = WeakValueDictionary()


def on_device(dataset: Dataset, sharding: Sharding) -> DeviceDataset:
    """Returns the data set on the devices of `sharding`: the one copy there, shared while anybody holds it."""
    found = _ON_DEVICE.get((id(dataset), sharding))
    if found is None:
        found = _ON_DEVICE[id(dataset), sharding] = DeviceDataset(dataset, sharding)
    return found


def normalise(images: Array) -> Array:
    """Returns `uint8[n, height, width]` or `[..., channels]` as `float32[n, height, width, channels]` in [0, 1]."""
    with_channels = images[..., None] if images.ndim == 3 else images
    return with_channels.astype(jnp.float32) / 255
