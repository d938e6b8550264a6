"""The built-in update rules, each an optax chain with its hyperparameters' defaults and search spaces."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike
from optax import GradientTransformation, Schedule

from fmnist_jax.optim.groups import parameter_groups
from fmnist_jax.optim.registry import OPTIMIZERS, Hyperparameter, Optimizer


def _chain(direction: Callable[..., GradientTransformation]) -> Callable[..., GradientTransformation]:
    """Returns an `Optimizer.make` for `direction`, a function from hyperparameters to the unscaled update."""

    def make(rate: Schedule, weight_decay: GradientTransformation, **numbers: ArrayLike) -> GradientTransformation:
        return optax.chain(direction(**numbers), weight_decay, optax.scale_by_learning_rate(rate))

    return make


def scale_by_keras_adam(b1: ArrayLike, b2: ArrayLike, eps: ArrayLike) -> GradientTransformation:
    """Adam's direction with Keras's epsilon: `m / (1 - b1^t) / (sqrt(v) + eps) * sqrt(1 - b2^t)`.

    Here eps is added to the root of the *uncorrected* second moment (the "epsilon hat" at the end of section 2 of
    Kingma & Ba 2015), so it matters more in the first steps than in Algorithm 1, which optax's `scale_by_adam` follows.
    """

    def init(params: Any) -> optax.ScaleByAdamState:
        return optax.ScaleByAdamState(jnp.zeros([], jnp.int32), *(jax.tree.map(jnp.zeros_like, params) for _ in "mv"))

    def update(gradients: Any, state: Any, params: Any = None) -> tuple[Any, optax.ScaleByAdamState]:
        del params
        count = state.count + 1
        mu = optax.tree.update_moment(gradients, state.mu, b1, 1)
        nu = optax.tree.update_moment(gradients, state.nu, b2, 2)
        # 1 - b^t through expm1: for b2 = 0.999 the plain float32 difference loses four digits in the first steps.
        correction = jnp.sqrt(-jnp.expm1(count * jnp.log(b2))) / -jnp.expm1(count * jnp.log(b1))
        updates = jax.tree.map(lambda m, v: correction * m / (jnp.sqrt(v) + eps), mu, nu)
        return updates, optax.ScaleByAdamState(count, mu, nu)

    return GradientTransformation(init, update)


def _muon_axes(params: Any) -> Any:
    """Muon orthogonalises a kernel `[..., out]` as a matrix `[product of the rest, out]`."""
    axes = optax.contrib.MuonDimensionNumbers
    return jax.tree.map(lambda w: axes(tuple(range(w.ndim - 1)), w.ndim - 1), params)


def _muon_scale(updates: Any, params: Any = None) -> Any:
    """Scales an orthogonal update to the root mean square that Adam's has (Liu et al. 2025, eq. 4)."""
    del params
    return jax.tree.map(lambda u: 0.2 * max(u.size // u.shape[-1], u.shape[-1]) ** 0.5 * u, updates)


def _muon(
    rate: Schedule,
    weight_decay: GradientTransformation,
    learning_rate: ArrayLike,
    num_classes: int | None,
    adam_learning_rate: ArrayLike,
    momentum: ArrayLike,
    b1: ArrayLike,
    b2: ArrayLike,
    eps: ArrayLike,
) -> GradientTransformation:
    def group(path: str, leaf: Any) -> str:
        is_head = leaf.ndim == 2 and leaf.shape[-1] == num_classes
        return "adam" if leaf.ndim < 2 or is_head else "muon"

    orthogonal = optax.contrib.scale_by_muon(beta=momentum, eps=eps, weight_dimension_numbers=_muon_axes)
    directions = {
        "muon": optax.chain(orthogonal, optax.stateless(_muon_scale)),
        "adam": optax.chain(optax.scale_by_adam(b1, b2, eps), optax.scale(adam_learning_rate / learning_rate)),
    }
    return optax.chain(parameter_groups(directions, group), weight_decay, optax.scale_by_learning_rate(rate))


def _schedule_free_adamw(
    rate: Schedule, weight_decay: GradientTransformation, b1: ArrayLike, b2: ArrayLike, eps: ArrayLike
) -> GradientTransformation:
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


_BUILT_IN = {
    "sgd": Optimizer(_chain(optax.identity), _rate(1e-2, 1e-3, 1.0), "w -= rate g"),
    "momentum": Optimizer(
        _chain(lambda momentum: optax.trace(momentum)),
        _rate(1e-2, 1e-4, 1.0) | _MOMENTUM,
        "v = momentum v + g; w -= rate v (Polyak 1964)",
    ),
    "nesterov": Optimizer(
        _chain(lambda momentum: optax.trace(momentum, nesterov=True)),
        _rate(1e-2, 1e-4, 1.0) | _MOMENTUM,
        "v = momentum v + g; w -= rate (g + momentum v) (Sutskever et al. 2013)",
    ),
    "rmsprop": Optimizer(
        _chain(lambda decay, eps: optax.scale_by_rms(decay, eps, eps_in_sqrt=True)),
        _rate(1e-3, 1e-5, 1e-1) | {"decay": Hyperparameter(0.9, 0.5, 0.999, "log1m")} | _eps(1e-7),
        "v = decay v + (1 - decay) g^2; w -= rate g / sqrt(v + eps), as Keras",
    ),
    "adam": Optimizer(
        _chain(scale_by_keras_adam),
        _rate(1e-3, 1e-5, 1e-1) | _B1 | _B2 | _eps(1e-7),
        "w -= rate sqrt(1 - b2^t) / (1 - b1^t) m / (sqrt(v) + eps), as Keras",
    ),
    "adamw": Optimizer(
        _chain(optax.scale_by_adam),
        _rate(1e-3, 1e-5, 1e-1) | _B1 | _B2 | _eps(1e-8) | _decay(1e-2),
        "Adam with decoupled weight decay (Loshchilov & Hutter 2019)",
    ),
    "nadam": Optimizer(
        _chain(lambda b1, b2, eps: optax.scale_by_adam(b1, b2, eps, nesterov=True)),
        _rate(1e-3, 1e-5, 1e-1) | _B1 | _B2 | _eps(1e-8),
        "Adam with Nesterov momentum (Dozat 2016)",
    ),
    "lion": Optimizer(
        _chain(optax.scale_by_lion),
        _rate(1e-4, 1e-6, 1e-2) | _B1 | {"b2": Hyperparameter(0.99, 0.9, 0.999, "log1m")} | _decay(1e-3),
        "w -= rate sign(b1 m + (1 - b1) g) (Chen et al. 2023)",
    ),
    "adagrad": Optimizer(
        _chain(lambda eps: optax.scale_by_rss(0.1, eps)),
        _rate(1e-2, 1e-4, 1.0) | _eps(1e-7),
        "w -= rate g / sqrt(0.1 + sum of g^2 + eps) (Duchi et al. 2011)",
    ),
    "muon": Optimizer(
        _muon,
        _rate(1e-3, 1e-5, 1e-1)
        | {"adam_learning_rate": Hyperparameter(1e-3, 1e-5, 1e-1)}
        | {"momentum": Hyperparameter(0.95, 0.5, 0.999, "log1m")}
        | (_B1 | _B2 | _eps(1e-8)),
        "orthogonalised momentum for kernels, AdamW for head and biases (Jordan 2024; scaled as Liu et al. 2025)",
    ),
    "schedule-free-adamw": Optimizer(
        _schedule_free_adamw,
        # The average is recovered by a division by b1, which multiplies float32's rounding error by 1 / b1.
        _rate(2.5e-3, 1e-5, 1e-1) | {"b1": Hyperparameter(0.9, 0.5, 0.99, "log1m", ge=1e-3)} | _B2 | _eps(1e-8),
        "AdamW whose evaluated parameters are a running average (Defazio et al. 2024)",
        _schedule_free_params,
    ),
}

for _name, _optimizer in _BUILT_IN.items():
    OPTIMIZERS.register(_name, _optimizer)
OPTIMIZERS.protect()
