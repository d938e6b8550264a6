"""Optimizers and learning-rate schedules, by name."""

from fmnist_jax.optim import rules, schedules
from fmnist_jax.optim.entry import Hyperparameter, Optimizer
from fmnist_jax.optim.groups import parameter_groups
from fmnist_jax.optim.registry import (
    OPTIMIZERS,
    build,
    eval_params,
    get,
    hyperparameters_of,
    names,
    register,
    resolve,
)

__all__ = [
    "OPTIMIZERS",
    "Hyperparameter",
    "Optimizer",
    "build",
    "eval_params",
    "get",
    "hyperparameters_of",
    "names",
    "parameter_groups",
    "register",
    "resolve",
    "rules",
    "schedules",
]
