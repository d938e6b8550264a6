"""The data set on the device: uint8, copied once, normalised where it is used."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.sharding import Sharding

from fmnist_jax.data.dataset import Split


class DeviceSplit(NamedTuple):
    """A split on the device.

    **Attributes:**

    - `images`: `uint8[n, 28, 28]`.
    - `labels`: `int32[n]`.
    """

    images: Array
    labels: Array


def put(split: Split, sharding: Sharding | None = None) -> DeviceSplit:
    """Returns `split` on the devices of `sharding`, by default on JAX's default device; a pytree, to pass to `jit`."""
    on_device = DeviceSplit(jnp.asarray(split.images), jnp.asarray(split.labels, jnp.int32))
    return on_device if sharding is None else jax.device_put(on_device, sharding)


def normalise(images: Array) -> Array:
    """Returns `uint8[..., 28, 28]` images as `float32[..., 28, 28, 1]` in [0, 1]: pixels over 255, one channel."""
    return images[..., None].astype(jnp.float32) / 255
