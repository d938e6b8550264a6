"""The networks, by name: Flax NNX modules that map images `[batch, 28, 28, 1]` to logits `[batch, 10]`."""

from fmnist_jax.models import deepobs, keras_cnn
from fmnist_jax.models.layers import ComputeConfig
from fmnist_jax.models.registry import check, create, names, register

__all__ = ["ComputeConfig", "check", "create", "deepobs", "keras_cnn", "names", "register"]
