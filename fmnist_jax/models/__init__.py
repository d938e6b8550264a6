"""The models: Flax NNX modules that map images `[batch, 28, 28, 1]` to logits `[batch, 10]`, by name."""

from fmnist_jax.models import deepobs, keras_cnn
from fmnist_jax.models.layers import ComputeConfig
from fmnist_jax.models.registry import MODELS, check, count_parameters, create, names, parameter_table, register

MODELS.protect()

__all__ = [
    "ComputeConfig",
    "check",
    "count_parameters",
    "create",
    "deepobs",
    "keras_cnn",
    "names",
    "parameter_table",
    "register",
]
