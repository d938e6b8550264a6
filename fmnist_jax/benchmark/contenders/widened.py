"""Our networks in other widths than those they are registered with."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

from flax import nnx

from fmnist_jax import models
from fmnist_jax.benchmark.architecture import Architecture
from fmnist_jax.models import deepobs, keras_cnn


def registered(architecture: Architecture) -> str:
    """Enters the network among the models, unless it is there already, and returns its name."""
    widths = [conv.features for conv in architecture.convs]
    name = f"{architecture.convs[0].padding} {'-'.join(map(str, widths))}, dense {architecture.hidden}"
    if name not in models.names():
        models.register(name, "a network in another width")(_factory(architecture, widths))
    return name


def _factory(architecture: Architecture, widths: Sequence[int]) -> Callable[..., nnx.Module]:
    if architecture.convs[0].padding == "SAME":
        return functools.partial(deepobs.TwoConvTwoDense, first=widths[0])
    third = widths[2] if len(widths) > 2 else 0
    return functools.partial(keras_cnn.KerasCNN, first=widths[0], third=third, hidden=architecture.hidden)
