"""Optimizers by name: their hyperparameters, defaults and search spaces, and the optax transformations made of them.

Hyperparameters may be traced numbers, so that one compiled program serves every setting of an optimizer.
Weight decay is decoupled for all of them (Loshchilov & Hutter 2019): the update is
`-rate * (direction + weight_decay * w)`, for kernels only, never for biases. The decay may have a schedule of its own.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
import optax

from fmnist_jax.config.registry import Registry
from fmnist_jax.config.schema import SCHEMA
from fmnist_jax.errors import ConfigError
from fmnist_jax.optim.by_optax_name import PREFIX, from_optax
from fmnist_jax.optim.entry import Hyperparameter, Optimizer
from fmnist_jax.optim.schedules import CONSTANT, INDEPENDENT

_SMALLEST, _LARGEST = float(np.finfo(np.float32).tiny), float(np.finfo(np.float32).max)

OPTIMIZERS: Registry[Optimizer] = Registry("an optimizer", "config.optimizer.name")
register, names = OPTIMIZERS.register, OPTIMIZERS.names

# Hyperparameters of every optimizer; 0 switches one off.
_COMMON = {name: Hyperparameter(0.0, 0.0, 0.0, "linear", ge=0.0) for name in ("weight_decay", "clip_norm")}


def get(name: str, key: str = "") -> Optimizer:
    """Returns the registered optimizer, or that of optax where the name is such as `"optax.adamax"`.

    **Raises:** `ConfigError` where there is none, naming `key` (by default `config.optimizer.name`).
    """
    if name.startswith(PREFIX) and name not in OPTIMIZERS.entries:
        return from_optax(name, key or OPTIMIZERS.key)
    return OPTIMIZERS.get(name, key)


def hyperparameters_of(name: str) -> dict[str, Hyperparameter]:
    """Returns the optimizer's hyperparameters: its own, then `weight_decay` and `clip_norm` unless it has its own.

    **Raises:** `ConfigError` for an unknown name.
    """
    own = get(name).hyperparameters
    return {**own, **{key: entry for key, entry in _COMMON.items() if key not in own}}


def resolve(name: str, given: Mapping[str, float | None]) -> dict[str, float]:
    """Returns the hyperparameters with defaults filled in, without a `weight_decay` or `clip_norm` of 0.

    **Arguments:**

    - `given`: name -> value, `None` for the default.

    **Raises:** `ConfigError` where the optimizer does not take one that is given, or does not work with its value.
    """
    known = hyperparameters_of(name)
    resolved = {key: entry.default for key, entry in known.items()}
    for key, value in given.items():
        if value is None:
            continue
        if key not in known:
            raise ConfigError(f"{_config_key(key)} is set, but {name} does not take it; it takes {', '.join(known)}")
        if problem := known[key].problem(value) or _problem_in_float32(key, value):
            raise ConfigError(f"{_config_key(key)} of {name} {problem}")
        resolved[key] = float(value)
    return {key: value for key, value in resolved.items() if value != 0 or key not in _COMMON}


def _config_key(hyperparameter: str) -> str:
    own = f"optimizer.{hyperparameter}" in SCHEMA
    return f"config.optimizer.{hyperparameter}" if own else f"config.optimizer.options.{hyperparameter}"


def _problem_in_float32(key: str, value: float) -> str | None:
    """Returns what is wrong with a value as it is trained with: rounded to float32."""
    with np.errstate(over="ignore", under="ignore"):
        rounded = float(np.float32(value))
    if value and not _SMALLEST <= abs(rounded) < math.inf:
        return f"must be between {_SMALLEST:.2g} and {_LARGEST:.2g}, the range of float32, not {value!r}"
    field = SCHEMA.get(f"optimizer.{key}")
    problem = field.problem(rounded) if field else None
    return f"{problem}: float32 rounds {value!r} to it" if problem else None


def build(
    name: str,
    hyperparameters: Mapping[str, float | jax.Array],
    schedule: optax.Schedule,
    decay_schedule: optax.Schedule | str = CONSTANT,
    num_classes: int | None = None,
) -> optax.GradientTransformationExtraArgs:
    """Returns the optimizer's transformation, with gradient clipping before it and weight decay in it where given.

    Its `update` takes optax's extra arguments, such as `value`, whether or not the optimizer needs them.

    **Arguments:**

    - `hyperparameters`: what `resolve` returns; values may be traced, keys are not.
    - `schedule`: the learning rate is `learning_rate * schedule(step)`.
    - `decay_schedule`: of the weight decay, as `schedules.Schedules` describes it.
    - `num_classes`: the outputs of the network, for optimizers that treat its last layer in its own way.
    """
    numbers = dict(hyperparameters)
    peak = numbers.pop("learning_rate")
    clip_norm, factor = numbers.pop("clip_norm", None), numbers.pop("weight_decay", None)
    weight_decay = optax.identity() if factor is None else _weight_decay(factor, peak, decay_schedule)
    make = get(name).make
    offered = {"learning_rate": peak, "num_classes": num_classes, "clip_norm": clip_norm}
    named = {key: offered[key] for key in offered.keys() & inspect.signature(make).parameters.keys()}
    transformation = make(lambda step: peak * schedule(step), weight_decay, **numbers, **named)
    if clip_norm is None or "clip_norm" in named:
        return optax.with_extra_args_support(transformation)
    return optax.chain(optax.clip_by_global_norm(clip_norm), transformation)


def _weight_decay(
    factor: float | jax.Array, peak: float | jax.Array, schedule: optax.Schedule | str
) -> optax.GradientTransformation:
    if schedule == INDEPENDENT:  # the optimizer multiplies by the learning rate, peak * schedule(step), afterwards
        return optax.add_decayed_weights(factor / peak, is_kernel)
    if callable(schedule):
        return optax.add_decayed_weights(lambda step: factor * schedule(step), is_kernel)
    return optax.add_decayed_weights(factor, is_kernel)


def eval_params(name: str, state: Any, params: Any) -> Any:
    """Returns the parameters to evaluate: for a schedule-free method its average, else `params` themselves.

    `state` is that of `build`'s transformation, clipped or not.
    """
    return get(name).eval_params(state, params)


def is_kernel(params: Any) -> Any:
    """Returns the tree of whether each parameter is a kernel, not a bias or a normalisation's scale."""
    return jax.tree.map(lambda leaf: leaf.ndim > 1, params)
