"""Which CNN, which optimizer, and is the difference real? Fashion-MNIST with JAX and Flax NNX.

The public names are here: `from fmnist_jax import study_config, compare_optimizers`. The rest is internal.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fmnist_jax.compare.config import study_config
    from fmnist_jax.compare.runner import compare as compare_optimizers
    from fmnist_jax.config.schema import default_config
    from fmnist_jax.data import dataset_from_arrays, register_dataset
    from fmnist_jax.data import load as load_data
    from fmnist_jax.data.augment import register as register_augmentation
    from fmnist_jax.data.device import put as device_put_split
    from fmnist_jax.data.images import read_images
    from fmnist_jax.models import register as register_model
    from fmnist_jax.optim import Hyperparameter, Optimizer, parameter_groups
    from fmnist_jax.optim import register as register_optimizer
    from fmnist_jax.optim.schedules import register as register_schedule
    from fmnist_jax.report import write_run_report, write_study_report
    from fmnist_jax.runtime.devices import use_all_cores
    from fmnist_jax.train.export import export_network
    from fmnist_jax.train.init_from import load_weights
    from fmnist_jax.train.loop import train as train_network
    from fmnist_jax.train.losses import register as register_loss
    from fmnist_jax.train.metrics import Metric
    from fmnist_jax.train.metrics import register as register_metric
    from fmnist_jax.train.network import Member
    from fmnist_jax.train.run import make_run, member_of

__all__ = [
    "Hyperparameter",
    "Member",
    "Metric",
    "Optimizer",
    "compare_optimizers",
    "dataset_from_arrays",
    "default_config",
    "device_put_split",
    "export_network",
    "load_data",
    "load_weights",
    "make_run",
    "member_of",
    "parameter_groups",
    "read_images",
    "register_augmentation",
    "register_dataset",
    "register_loss",
    "register_metric",
    "register_model",
    "register_optimizer",
    "register_schedule",
    "study_config",
    "train_network",
    "use_all_cores",
    "write_run_report",
    "write_study_report",
]

# Imported on first use: writing a report from files needs no jax. The module of each name, and its name there.
_ORIGINS = {
    "Hyperparameter": "fmnist_jax.optim",
    "Member": "fmnist_jax.train.network",
    "Metric": "fmnist_jax.train.metrics",
    "Optimizer": "fmnist_jax.optim",
    "compare_optimizers": "fmnist_jax.compare.runner:compare",
    "dataset_from_arrays": "fmnist_jax.data",
    "default_config": "fmnist_jax.config",
    "device_put_split": "fmnist_jax.data.device:put",
    "export_network": "fmnist_jax.train.export",
    "load_data": "fmnist_jax.data:load",
    "load_weights": "fmnist_jax.train.init_from",
    "make_run": "fmnist_jax.train.run",
    "member_of": "fmnist_jax.train.run",
    "parameter_groups": "fmnist_jax.optim",
    "read_images": "fmnist_jax.data.images",
    "register_augmentation": "fmnist_jax.data.augment:register",
    "register_dataset": "fmnist_jax.data",
    "register_loss": "fmnist_jax.train.losses:register",
    "register_metric": "fmnist_jax.train.metrics:register",
    "register_model": "fmnist_jax.models:register",
    "register_optimizer": "fmnist_jax.optim:register",
    "register_schedule": "fmnist_jax.optim.schedules:register",
    "study_config": "fmnist_jax.compare.config",
    "train_network": "fmnist_jax.train.loop:train",
    "use_all_cores": "fmnist_jax.runtime.devices",
    "write_run_report": "fmnist_jax.report",
    "write_study_report": "fmnist_jax.report",
}


def __getattr__(name: str) -> Any:
    if name not in _ORIGINS:
        raise AttributeError(f"module 'fmnist_jax' has no attribute {name!r}")
    module, _, own_name = _ORIGINS[name].partition(":")
    return getattr(importlib.import_module(module), own_name or name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
