"""Any optimizer of optax by its name, such as `optax.adamax` or `optax.contrib.momo`, as an entry of the registry."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from fmnist_jax.errors import ConfigError, did_you_mean
from fmnist_jax.optim.entry import Hyperparameter, Optimizer
from fmnist_jax.optim.schedule_free import schedule_free_params

PREFIX = "optax."
_MODULES = {"optax": optax, "optax.contrib": optax.contrib}
_RATE, _DECAY = "learning_rate", "weight_decay"


def from_optax(name: str, key: str) -> Optimizer:
    """Returns the optimizer `name` of optax; of its arguments those with a float by default are hyperparameters.

    Only the learning rate is searched, from 1e-5 to 1. Where the function takes none, it multiplies the update, and
    is 1. The weight decay is that of this library, for kernels only, whether or not the function has one of its own.

    **Raises:** `ConfigError`, naming `key`, for an unknown name or what is no optimizer that runs with these alone.
    """
    try:
        return _made(name)
    except ConfigError as error:
        raise ConfigError(f"{key}: {error}") from None


@functools.cache
def _made(name: str) -> Optimizer:
    function = _function(name)
    parameters = inspect.signature(function).parameters
    if missing := [each.name for each in parameters.values() if _is_required(each)]:
        raise ConfigError(f"{name} needs {', '.join(missing)}, which no config can give; {_REGISTER}")
    if ".scale_by_" in name or not any(each.endswith(_RATE) for each in parameters):
        raise ConfigError(f"{name} is a transformation, not an optimizer; {_REGISTER}")
    found = {each.name: each.default for each in parameters.values() if isinstance(each.default, float)}
    numbers = {each: Hyperparameter(value, value, value, "linear") for each, value in found.items() if each != _RATE}
    if _DECAY in parameters:
        value = found.get(_DECAY, 0.0)
        numbers[_DECAY] = Hyperparameter(value, value, value, "linear", ge=0.0)
    made = Optimizer(
        functools.partial(_make, function),
        {_RATE: _rate(parameters.get(_RATE)), **numbers},
        f"of optax {optax.__version__}",
        schedule_free_params if "schedule_free" in name else lambda state, params: params,
    )
    _try(name, made)
    return made


_REGISTER = "chain it into an optimizer of your own (docs/bring_your_own.md)"


def _function(name: str) -> Callable[..., optax.GradientTransformation]:
    head, _, tail = name.rpartition(".")
    found = getattr(_MODULES.get(head), tail, None)
    if not inspect.isfunction(found) or tail.startswith("_"):
        known = [f"{module}.{each}" for module, content in _MODULES.items() for each in dir(content)]
        raise ConfigError(f"optax {optax.__version__} has no {name!r}{did_you_mean(name, known)}")
    return found


def _is_required(parameter: inspect.Parameter) -> bool:
    return parameter.default is parameter.empty and parameter.name != _RATE


def _rate(parameter: inspect.Parameter | None) -> Hyperparameter:
    if parameter is None:
        return Hyperparameter(1.0, 1.0, 1.0)
    default = {parameter.empty: 1e-3, None: 1.0}.get(parameter.default, parameter.default)
    return Hyperparameter(default, min(1e-5, default), max(1.0, default))


def _make(
    function: Callable[..., optax.GradientTransformation],
    rate: optax.Schedule,
    weight_decay: optax.GradientTransformation,
    learning_rate: Any,
    **numbers: Any,
) -> optax.GradientTransformation:
    parameters = inspect.signature(function).parameters
    given = numbers | ({_DECAY: 0.0} if _DECAY in parameters else {})
    taken = parameters.get(_RATE)
    if taken is not None and "Callable" in str(taken.annotation):
        transformation = function(**given, learning_rate=rate)
    elif taken is not None:  # a number, without the schedule
        factor = optax.scale_by_schedule(lambda step: rate(step) / learning_rate)
        transformation = optax.chain(function(**given, learning_rate=learning_rate), factor)
    else:
        transformation = optax.chain(function(**given), optax.scale_by_schedule(rate))
    return _decayed(transformation, optax.chain(weight_decay, optax.scale_by_learning_rate(rate)))


def _decayed(
    transformation: optax.GradientTransformation, decay: optax.GradientTransformation
) -> optax.GradientTransformationExtraArgs:
    """Returns the transformation with the update of another one, for a gradient of 0, added to its own."""
    told = optax.with_extra_args_support(transformation)

    def init(params: Any) -> tuple[Any, Any]:
        # A copy, for some states keep the initial parameters, which must not be donated twice.
        return told.init(jax.tree.map(jnp.copy, params)), decay.init(params)

    def update(gradients: Any, state: Any, params: Any = None, **extra: Any) -> tuple[Any, tuple[Any, Any]]:
        updates, own = told.update(gradients, state[0], params, **extra)
        decayed, other = decay.update(jax.tree.map(jnp.zeros_like, updates), state[1], params)
        return optax.tree.add(updates, decayed), (own, other)

    return optax.GradientTransformationExtraArgs(init, update)


def _try(name: str, made: Optimizer) -> None:
    """Raises `ConfigError` where the function makes no transformation that runs, or none of traced numbers."""
    defaults = {key: each.default for key, each in made.hyperparameters.items() if key != _DECAY}

    def updates(numbers: dict[str, Any], w: jax.Array) -> Any:
        step = made.make(lambda step: numbers[_RATE], optax.identity(), **numbers)
        return step.update(w, step.init(w), w, value=jnp.sum(w), grad=w, value_fn=jnp.sum)

    try:
        jax.eval_shape(updates, defaults, jnp.zeros((2, 3)))
    except (AttributeError, TypeError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise ConfigError(f"{name} does not run as an optimizer here ({reason}); {_REGISTER}") from None
