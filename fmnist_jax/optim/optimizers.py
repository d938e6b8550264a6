"""Optimizers by name: one table of optax chains with their hyperparameters' defaults and search spaces.

Hyperparameters are numbers that may be traced, so that one compiled program serves every setting of an optimizer.
Weight decay is decoupled for all of them (Loshchilov & Hutter 2019): the update is
`-rate * (direction + weight_decay * w)`, for kernels only, never for biases.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeAlias

import jax
import jax.numpy as jnp
import optax

from fmnist_jax.errors import ConfigError, unknown_name
from fmnist_jax.optim.schedules import Scale

Number = float | jax.Array
Hyperparameters = Mapping[str, Number]
Transformation: TypeAlias = optax.GradientTransformation


# What a value on a scale lies between.
_RANGES = {"log": (0.0, math.inf), "log1m": (-math.inf, 1.0), "linear": (-math.inf, math.inf)}


@dataclasses.dataclass(frozen=True)
class Hyperparameter:
    """A number that an optimizer takes.

    **Attributes:**

    - `default`: the published or customary value.
    - `low`, `high`: its search space; equal where it is not searched.
    - `scale`: how the space is sampled: `"log"` of the value, `"log1m"`: log of one minus the value, or `"linear"`.

    **Raises:** `ValueError` where the space is empty or its scale has no such values.
    """

    default: float
    low: float
    high: float
    scale: Literal["log", "log1m", "linear"] = "log"

    def __post_init__(self) -> None:
        least, below = _RANGES.get(self.scale, (math.nan, math.nan))
        if not least < self.low <= self.high < below:
            raise ValueError(f"no search space: from {self.low:g} to {self.high:g} on the scale {self.scale!r}")


@dataclasses.dataclass(frozen=True)
class Optimizer:
    """An entry of the table.

    **Attributes:**

    - `make`: `make(rate, weight_decay, **hyperparameters)` returns the transformation from gradients to updates. `rate`
      is the learning rate as a function of the step; `weight_decay` is a transformation too, to be applied to the
      direction before it is scaled by the rate.
    - `hyperparameters`: those it takes, `learning_rate` first.
    - `summary`: its update rule or source.
    - `eval_params`: the parameters to evaluate, from the optimizer's state and the trained ones.

    **Raises:** `ValueError` where it takes no `learning_rate`.
    """

    make: Callable[..., Transformation]
    hyperparameters: Mapping[str, Hyperparameter]
    summary: str
    eval_params: Callable[[Any, Any], Any] = lambda state, params: params

    def __post_init__(self) -> None:
        if "learning_rate" not in self.hyperparameters:
            raise ValueError("an optimizer needs a hyperparameter learning_rate")


_TABLE: dict[str, Optimizer] = {}
_OWN: set[str] = set()


def register(name: str, optimizer: Optimizer) -> None:
    """Enters an optimizer into the table; raises `ValueError` where one of the package's own has that name.

    One that was entered from outside may be entered again, as when its file is read a second time, and replaces itself.
    """
    if name in _OWN:
        raise ValueError(f"an optimizer is registered as {name!r} already")
    _TABLE[name] = optimizer


def names() -> tuple[str, ...]:
    """Returns the names in the table."""
    return tuple(_TABLE)


def get(name: str) -> Optimizer:
    """Returns the entry of that name; raises `ConfigError` where there is none."""
    if name not in _TABLE:
        raise unknown_name("config.optimizer.name", name, _TABLE)
    return _TABLE[name]


def resolve(name: str, given: Mapping[str, float | None]) -> dict[str, float]:
    """Returns the hyperparameters with defaults filled in.

    Every optimizer takes `weight_decay` and `clip_norm`, which are left out where they are 0.

    **Arguments:**

    - `given`: name -> value, `None` where the default is wanted.

    **Raises:** `ConfigError` where the optimizer does not take one that is given.
    """
    known = get(name).hyperparameters
    everywhere = {"weight_decay": 0.0, "clip_norm": 0.0}
    resolved = everywhere | {key: entry.default for key, entry in known.items()}
    for key, value in given.items():
        if value is None:
            continue
        if key not in resolved:
            takes = ", ".join(resolved)
            raise ConfigError(f"config.optimizer.{key} is set, but {name} does not take it; it takes {takes}")
        resolved[key] = float(value)
    return {key: value for key, value in resolved.items() if value != 0 or key not in everywhere}


def build(name: str, hyperparameters: Hyperparameters, scale: Scale) -> Transformation:
    """Returns the optimizer's transformation, with clipping before it and weight decay in it where they are given.

    **Arguments:**

    - `hyperparameters`: what `resolve` returns; values may be traced, keys are not.
    - `scale`: the schedule, a function of the step; the learning rate is `learning_rate * scale(step)`.
    """
    numbers = dict(hyperparameters)
    peak = numbers.pop("learning_rate")
    clip_norm, factor = numbers.pop("clip_norm", None), numbers.pop("weight_decay", None)
    weight_decay = optax.identity() if factor is None else optax.add_decayed_weights(factor, _kernels)
    transformation = get(name).make(lambda step: peak * scale(step), weight_decay, **numbers)
    if clip_norm is None:
        return transformation
    return optax.chain(optax.clip_by_global_norm(clip_norm), transformation)


def eval_params(name: str, state: Any, params: Any) -> Any:
    """Returns the parameters to evaluate: for a schedule-free method its average, else `params` themselves.

    `state` is that of `build`'s transformation, clipped or not.
    """
    return get(name).eval_params(state, params)


def _kernels(params: Any) -> Any:
    return jax.tree.map(lambda leaf: leaf.ndim > 1, params)


def _chain(direction: Callable[..., Transformation]) -> Callable[..., Transformation]:
    """Makes `Optimizer.make` of a function from hyperparameters to the unscaled direction."""

    def make(rate: Scale, weight_decay: Transformation, **numbers: Number) -> Transformation:
        return optax.chain(direction(**numbers), weight_decay, optax.scale_by_learning_rate(rate))

    return make


def scale_by_keras_adam(b1: Number, b2: Number, eps: Number) -> Transformation:
    """Adam's direction with Keras's epsilon: `m / (1 - b1^t) / (sqrt(v) + eps) * sqrt(1 - b2^t)`.

    Here eps is added to the root of the *uncorrected* second moment (the "epsilon hat" at the end of section 2 of
    Kingma & Ba 2015), so that it weighs more in the first steps than in Algorithm 1, which
    optax's `scale_by_adam` follows.
    """

    def init(params: Any) -> optax.ScaleByAdamState:
        return optax.ScaleByAdamState(jnp.zeros([], jnp.int32), *(jax.tree.map(jnp.zeros_like, params) for _ in "mv"))

    def update(gradients: Any, state: Any, params: Any = None) -> tuple[Any, optax.ScaleByAdamState]:
        del params
        count = state.count + 1
        mu = optax.tree.update_moment(gradients, state.mu, b1, 1)
        nu = optax.tree.update_moment(gradients, state.nu, b2, 2)
        # 1 - b^t through expm1: for b2 = 0.999 the plain float32 difference loses four digits at first.
        correction = jnp.sqrt(-jnp.expm1(count * jnp.log(b2))) / -jnp.expm1(count * jnp.log(b1))
        updates = jax.tree.map(lambda m, v: correction * m / (jnp.sqrt(v) + eps), mu, nu)
        return updates, optax.ScaleByAdamState(count, mu, nu)

    return optax.GradientTransformation(init, update)


def _muon_axes(params: Any) -> Any:
    """A kernel `[..., out]` is orthogonalised as a matrix `[everything else, out]`; biases are left to Nadam."""

    def axes(leaf: jax.Array) -> optax.contrib.MuonDimensionNumbers | None:
        if leaf.ndim < 2:
            return None
        return optax.contrib.MuonDimensionNumbers(tuple(range(leaf.ndim - 1)), leaf.ndim - 1)

    return jax.tree.map(axes, params)


def _muon(
    rate: Scale, weight_decay: Transformation, momentum: Number, b1: Number, b2: Number, eps: Number
) -> Transformation:
    # A unit rate turns optax's chain into a direction; it descends, so that its sign is turned back before the decay.
    direction = optax.contrib.muon(
        1.0,
        beta=momentum,
        adam_b1=b1,
        adam_b2=b2,
        eps=eps,
        muon_weight_dimension_numbers=_muon_axes,
        consistent_rms=0.2,
    )
    return optax.chain(direction, optax.scale(-1.0), weight_decay, optax.scale_by_learning_rate(rate))


def _schedule_free_adamw(
    rate: Scale, weight_decay: Transformation, b1: Number, b2: Number, eps: Number
) -> Transformation:
    direction = optax.scale_by_rms(b2, eps, eps_in_sqrt=False, bias_correction=True)
    base = optax.chain(direction, weight_decay, optax.scale_by_learning_rate(rate))
    # optax's wrapper counts steps from 1, the base optimizer from 0.
    return optax.contrib.schedule_free(base, lambda step: rate(step - 1), b1)


def _schedule_free_params(state: Any, params: Any) -> Any:
    """Recovers the average x from the trained y = (1 - b1) z + b1 x (Defazio et al. 2024, eq. 1)."""
    b1, z = optax.tree.get(state, "b1"), optax.tree.get(state, "z")
    return jax.tree.map(lambda y, z: (y - (1.0 - b1) * z) / b1, params, z)


def _rate(default: float, low: float, high: float) -> dict[str, Hyperparameter]:
    return {"learning_rate": Hyperparameter(default, low, high)}


_MOMENTUM = {"momentum": Hyperparameter(0.9, 0.5, 0.999, "log1m")}
_B1 = {"b1": Hyperparameter(0.9, 0.5, 0.99, "log1m")}
_B2 = {"b2": Hyperparameter(0.999, 0.9, 0.9999, "log1m")}


def _eps(default: float) -> dict[str, Hyperparameter]:
    return {"eps": Hyperparameter(default, 1e-10, 1e-2)}


def _decay(default: float, low: float = 1e-5, high: float = 1.0) -> dict[str, Hyperparameter]:
    return {"weight_decay": Hyperparameter(default, low, high)}


register("sgd", Optimizer(_chain(optax.identity), _rate(1e-2, 1e-3, 1.0), "w -= rate g"))
register(
    "momentum",
    Optimizer(
        _chain(lambda momentum: optax.trace(momentum)),
        _rate(1e-2, 1e-4, 1.0) | _MOMENTUM,
        "v = momentum v + g; w -= rate v (Polyak 1964)",
    ),
)
register(
    "nesterov",
    Optimizer(
        _chain(lambda momentum: optax.trace(momentum, nesterov=True)),
        _rate(1e-2, 1e-4, 1.0) | _MOMENTUM,
        "v = momentum v + g; w -= rate (g + momentum v) (Sutskever et al. 2013)",
    ),
)
register(
    "rmsprop",
    Optimizer(
        _chain(lambda decay, eps: optax.scale_by_rms(decay, eps, eps_in_sqrt=True)),
        _rate(1e-3, 1e-5, 1e-1) | {"decay": Hyperparameter(0.9, 0.5, 0.999, "log1m")} | _eps(1e-7),
        "v = decay v + (1 - decay) g^2; w -= rate g / sqrt(v + eps), as Keras",
    ),
)
register(
    "adam",
    Optimizer(
        _chain(scale_by_keras_adam),
        _rate(1e-3, 1e-5, 1e-1) | _B1 | _B2 | _eps(1e-7),
        "w -= rate sqrt(1 - b2^t) / (1 - b1^t) m / (sqrt(v) + eps), as Keras",
    ),
)
register(
    "adamw",
    Optimizer(
        _chain(optax.scale_by_adam),
        _rate(1e-3, 1e-5, 1e-1) | _B1 | _B2 | _eps(1e-8) | _decay(1e-2),
        "Adam with decoupled weight decay (Loshchilov & Hutter 2019)",
    ),
)
register(
    "nadam",
    Optimizer(
        _chain(lambda b1, b2, eps: optax.scale_by_adam(b1, b2, eps, nesterov=True)),
        _rate(1e-3, 1e-5, 1e-1) | _B1 | _B2 | _eps(1e-8),
        "Adam with Nesterov momentum (Dozat 2016)",
    ),
)
register(
    "lion",
    Optimizer(
        _chain(optax.scale_by_lion),
        _rate(1e-4, 1e-6, 1e-2) | _B1 | {"b2": Hyperparameter(0.99, 0.9, 0.999, "log1m")} | _decay(1e-3),
        "w -= rate sign(b1 m + (1 - b1) g) (Chen et al. 2023)",
    ),
)
register(
    "adagrad",
    Optimizer(
        _chain(lambda eps: optax.scale_by_rss(0.1, eps)),
        _rate(1e-2, 1e-4, 1.0) | _eps(1e-7),
        "w -= rate g / sqrt(0.1 + sum of g^2 + eps) (Duchi et al. 2011)",
    ),
)
register(
    "muon",
    Optimizer(
        _muon,
        _rate(1e-3, 1e-5, 1e-1) | {"momentum": Hyperparameter(0.95, 0.5, 0.999, "log1m")} | _B1 | _B2 | _eps(1e-8),
        "orthogonalised momentum for every kernel, Nadam for biases (Jordan 2024; scaled as Liu et al. 2025)",
    ),
)
register(
    "schedule-free-adamw",
    Optimizer(
        _schedule_free_adamw,
        _rate(2.5e-3, 1e-5, 1e-1) | _B1 | _B2 | _eps(1e-8),
        "AdamW whose evaluated parameters are a running average (Defazio et al. 2024)",
        _schedule_free_params,
    ),
)
_OWN.update(_TABLE)
