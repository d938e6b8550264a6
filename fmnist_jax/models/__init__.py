"""The models: Flax modules that map images `[batch, height, width, channels]` to logits `[batch, classes]`, by name."""

from fmnist_jax.models import deepobs, keras_cnn, resnet, speednet
from fmnist_jax.models.adapt import create
from fmnist_jax.models.functional import FunctionalModel
from fmnist_jax.models.layers import ComputeConfig
from fmnist_jax.models.registry import MODELS, by_name, count_parameters, names, parameter_table, register
from fmnist_jax.models.summary import model_table

MODELS.protect()

__all__ = [
    "ComputeConfig",
    "FunctionalModel",
    "by_name",
    "count_parameters",
    "create",
    "deepobs",
    "keras_cnn",
    "model_table",
    "names",
    "parameter_table",
    "register",
    "resnet",
    "speednet",
]
