"""Which CNN, which optimizer, and is the difference real? Fashion-MNIST with JAX and Flax NNX.

What a notebook needs can be imported from here: `from fmnist_jax import study_config, compare_optimizers`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fmnist_jax.compare.config import study_config
    from fmnist_jax.compare.runner import compare as compare_optimizers
    from fmnist_jax.config.schema import default_config
    from fmnist_jax.data import load as load_data
    from fmnist_jax.models import register as register_model
    from fmnist_jax.optim import Hyperparameter, Optimizer
    from fmnist_jax.optim import register as register_optimizer
    from fmnist_jax.report import write_run_report, write_study_report
    from fmnist_jax.runtime.devices import use_all_cores
    from fmnist_jax.train.loop import train as train_network
    from fmnist_jax.train.run import Member, make_run, member_of

__all__ = [
    "Hyperparameter",
    "Member",
    "Optimizer",
    "compare_optimizers",
    "default_config",
    "load_data",
    "make_run",
    "member_of",
    "register_model",
    "register_optimizer",
    "study_config",
    "train_network",
    "use_all_cores",
    "write_run_report",
    "write_study_report",
]

# Imported when they are asked for: what makes a report from files needs no jax.
_HOMES = {
    "Hyperparameter": "fmnist_jax.optim",
    "Member": "fmnist_jax.train.run",
    "Optimizer": "fmnist_jax.optim",
    "compare_optimizers": "fmnist_jax.compare.runner:compare",
    "default_config": "fmnist_jax.config",
    "load_data": "fmnist_jax.data:load",
    "make_run": "fmnist_jax.train.run",
    "member_of": "fmnist_jax.train.run",
    "register_model": "fmnist_jax.models:register",
    "register_optimizer": "fmnist_jax.optim:register",
    "study_config": "fmnist_jax.compare.config",
    "train_network": "fmnist_jax.train.loop:train",
    "use_all_cores": "fmnist_jax.runtime.devices",
    "write_run_report": "fmnist_jax.report",
    "write_study_report": "fmnist_jax.report",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'fmnist_jax' has no attribute {name!r}")
    home, _, own = _HOMES[name].partition(":")
    return getattr(importlib.import_module(home), own or name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
