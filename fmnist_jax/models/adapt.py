"""Makes registered networks, and gives Flax's own layers in them our operations."""

from __future__ import annotations

import inspect
import types
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
from flax import nnx
from jax import lax

from fmnist_jax import ops
from fmnist_jax.data import FASHION_MNIST, Description
from fmnist_jax.models import registry
from fmnist_jax.models.batch_norm import BatchNorm
from fmnist_jax.models.layers import ComputeConfig, convolution


def create(
    name: str,
    rngs: nnx.Rngs,
    compute: ComputeConfig | None = None,
    options: Mapping[str, Any] = types.MappingProxyType({}),
    description: Description = FASHION_MNIST,
) -> nnx.Module:
    """Returns a new network, with our operations in Flax's own layers.

    **Raises:** `ConfigError` for an unknown name or wrong options, `TypeError` where the factory returns no module or
    one that does not compute in `compute.dtype`.
    """
    compute = compute or ComputeConfig()
    given = {"num_classes": description.num_classes, "image_shape": description.image_shape}
    arguments = registry.arguments(name, {"rngs": rngs, "compute": compute, **given}, options)
    model = registry.MODELS.get(name).factory(**arguments)
    if not isinstance(model, nnx.Module):
        kind = type(model).__name__
        raise TypeError(f"its factory returns {kind}, not an nnx.Module (wrap a Linen module in nnx.bridge.ToNNX)")
    if isinstance(model, nnx.bridge.ToNNX):
        model.lazy_init(jnp.zeros((1, *description.image_shape)), **taken(model, {"train": False}))
    return _adapted(model, compute, "compute" in arguments)


def _adapted(model: nnx.Module, compute: ComputeConfig, takes_compute: bool) -> nnx.Module:
    """Gives Flax's own layers in a network our operations, masked batch statistics and the dtype of the computation.

    **Arguments:**

    - `takes_compute`: whether the network was given `compute` itself.

    **Raises:** `TypeError` where nothing in the network takes the dtype.
    """
    layers = [layer for _, layer in nnx.iter_modules(model) if isinstance(layer, nnx.Conv | nnx.Linear | nnx.BatchNorm)]
    for layer in layers:
        if type(layer) is nnx.BatchNorm:
            layer.__class__ = BatchNorm
        if isinstance(layer, nnx.Conv) and layer.conv_general_dilated is lax.conv_general_dilated:
            layer.conv_general_dilated = convolution(compute.algorithm)
        if isinstance(layer, nnx.Linear) and layer.dot_general is lax.dot_general:
            layer.dot_general = ops.dot_general
    if compute.dtype != jnp.float32 and not takes_compute:
        if not layers:
            raise TypeError(f"it does not compute in {compute.dtype}: let it take compute= and use compute.dtype")
        for layer in layers:
            layer.dtype = layer.dtype or compute.dtype
    return model


def taken(model: Any, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Returns those arguments that calling the network takes by name."""
    linen = isinstance(model, nnx.bridge.ToNNX)
    takes = set(inspect.signature(type(model.to_nnx__module if linen else model).__call__).parameters)
    takes |= {"rngs", "mutable"} if linen else set()
    return {name: value for name, value in arguments.items() if name in takes}
