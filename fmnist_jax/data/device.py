"""The data set on the device: uint8 once, normalised where it is used."""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from fmnist_jax.data.dataset import Split


class DeviceSplit(NamedTuple):
    """A split on the device.

    **Attributes:**

    - `images`: `uint8[n, 28, 28]`.
    - `labels`: `int32[n]`.
    """

    images: Array
    labels: Array


def put(split: Split) -> DeviceSplit:
    """Returns `split` on JAX's default device; a pytree, so it goes through `jit` as an argument."""
    return DeviceSplit(jnp.asarray(split.images), jnp.asarray(split.labels, jnp.int32))


def normalise(images: Array) -> Array:
    """Returns `float32[..., 28, 28, 1]` in [0, 1] of `images`, `uint8[..., 28, 28]`: pixels over 255, one channel."""
    return images[..., None].astype(jnp.float32) / 255
