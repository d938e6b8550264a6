"""The built-in optimizers: the update rule of each, with the defaults and search spaces of its hyperparameters."""

from __future__ import annotations

from collections.abc import Callable

import optax
from jax.typing import ArrayLike
from optax import GradientTransformation, Schedule

from fmnist_jax.optim.adam import prodigy, scale_by_adan, scale_by_cautious_adam, scale_by_keras_adam, scale_by_lamb
from fmnist_jax.optim.curvature import sam, scale_by_sophia
from fmnist_jax.optim.entry import Hyperparameter, Optimizer
from fmnist_jax.optim.matrix import muon, soap
from fmnist_jax.optim.registry import OPTIMIZERS
from fmnist_jax.optim.schedule_free import schedule_free_adamw, schedule_free_params, schedule_free_sgd
from fmnist_jax.optim.spaces import B1, B2, MOMENTUM, average, decay, eps, rate


def _chain(direction: Callable[..., GradientTransformation]) -> Callable[..., GradientTransformation]:
    """Returns an `Optimizer.make` for `direction`, a function from hyperparameters to the unscaled update."""

    def make(rate: Schedule, weight_decay: GradientTransformation, **numbers: ArrayLike) -> GradientTransformation:
        return optax.chain(direction(**numbers), weight_decay, optax.scale_by_learning_rate(rate))

    return make


# The average is recovered by a division by b1, which multiplies float32's rounding error by 1 / b1.
_AVERAGING_B1 = {"b1": Hyperparameter(0.9, 0.5, 0.99, "log1m", ge=1e-3)}

_NADAM = _chain(lambda b1, b2, eps: optax.scale_by_adam(b1, b2, eps, nesterov=True))

_BUILT_IN = {
    "sgd": Optimizer(_chain(optax.identity), rate(1e-2, 1e-3, 1.0), "w -= rate g"),
    "momentum": Optimizer(
        _chain(lambda momentum: optax.trace(momentum)),
        rate(1e-2, 1e-4, 1.0) | MOMENTUM,
        "v = momentum v + g; w -= rate v (Polyak 1964)",
    ),
    "nesterov": Optimizer(
        _chain(lambda momentum: optax.trace(momentum, nesterov=True)),
        rate(1e-2, 1e-4, 1.0) | MOMENTUM,
        "v = momentum v + g; w -= rate (g + momentum v) (Sutskever et al. 2013)",
    ),
    "rmsprop": Optimizer(
        _chain(lambda decay, eps: optax.scale_by_rms(decay, eps, eps_in_sqrt=True)),
        rate(1e-3, 1e-5, 1e-1) | average("decay", 0.9, 0.5, 0.999) | eps(1e-7),
        "v = decay v + (1 - decay) g^2; w -= rate g / sqrt(v + eps), as Keras",
    ),
    "adam": Optimizer(
        _chain(scale_by_keras_adam),
        rate(1e-3, 1e-5, 1e-1) | B1 | B2 | eps(1e-7),
        "w -= rate sqrt(1 - b2^t) / (1 - b1^t) m / (sqrt(v) + eps), as Keras",
    ),
    "adamw": Optimizer(
        _chain(optax.scale_by_adam),
        rate(1e-3, 1e-5, 1e-1) | B1 | B2 | eps(1e-8) | decay(1e-2),
        "Adam with decoupled weight decay (Loshchilov & Hutter 2019)",
    ),
    "cautious-adamw": Optimizer(
        _chain(scale_by_cautious_adam),
        rate(1e-3, 1e-5, 1e-1) | B1 | B2 | eps(1e-8) | decay(1e-2),
        "AdamW without the entries whose sign is not the gradient's (Liang et al. 2024)",
    ),
    "nadam": Optimizer(
        _NADAM,
        rate(1e-3, 1e-5, 1e-1) | B1 | B2 | eps(1e-8),
        "Adam with Nesterov momentum (Dozat 2016)",
    ),
    "nadamw": Optimizer(
        _NADAM,
        rate(1e-3, 1e-5, 1e-1) | B1 | B2 | eps(1e-8) | decay(1e-2),
        "NAdam with decoupled weight decay (Dozat 2016; Loshchilov & Hutter 2019)",
    ),
    "radam": Optimizer(
        _chain(optax.scale_by_radam),
        rate(1e-3, 1e-5, 1e-1) | B1 | B2 | eps(1e-8),
        "Adam whose rate is rectified for the variance of the first steps (Liu et al. 2020)",
    ),
    "adabelief": Optimizer(
        _chain(lambda b1, b2, eps: optax.scale_by_belief(b1, b2, eps, eps_root=eps)),
        rate(1e-3, 1e-5, 1e-1) | B1 | B2 | eps(1e-16, 1e-16, 1e-5),
        "Adam with the variance of the gradient about its mean in place of its square (Zhuang et al. 2020)",
    ),
    "adan": Optimizer(
        _chain(scale_by_adan),
        rate(1e-3, 1e-5, 1e-1)
        | average("b1", 0.98, 0.8, 0.999)
        | average("b2", 0.92, 0.5, 0.999)
        | average("b3", 0.99, 0.9, 0.9999)
        | (eps(1e-8) | decay(2e-2)),
        "Adam with Nesterov momentum from differences of gradients (Xie et al. 2022)",
    ),
    "adopt": Optimizer(
        _chain(optax.contrib.scale_by_adopt),
        rate(1e-3, 1e-5, 1e-1) | B1 | average("b2", 0.9999, 0.9, 0.99999) | eps(1e-6),
        "Adam that divides by the second moment before this step, then averages (Taniguchi et al. 2024)",
    ),
    "ademamix": Optimizer(
        _chain(optax.contrib.scale_by_ademamix),
        rate(1e-3, 1e-5, 1e-1)
        | (B1 | B2 | average("b3", 0.9999, 0.99, 0.99999))
        | {"alpha": Hyperparameter(5.0, 1.0, 20.0)}
        | (eps(1e-8) | decay(1e-2)),
        "AdamW with a second, slow momentum of weight alpha (Pagliardini et al. 2024, without its warm-ups)",
    ),
    "lamb": Optimizer(
        _chain(scale_by_lamb),
        rate(1e-3, 1e-5, 1e-1) | B1 | B2 | eps(1e-6) | decay(1e-2),
        "Adam's direction, scaled to the norm of each kernel (You et al. 2020)",
    ),
    "novograd": Optimizer(
        _chain(optax.scale_by_novograd),
        rate(1e-2, 1e-4, 1.0) | average("b1", 0.95, 0.5, 0.99) | average("b2", 0.98, 0.2, 0.999) | eps(1e-8),
        "momentum of gradients that are normalised layer by layer (Ginsburg et al. 2019)",
    ),
    "lion": Optimizer(
        _chain(optax.scale_by_lion),
        rate(1e-4, 1e-6, 1e-2) | B1 | average("b2", 0.99, 0.9, 0.999) | decay(1e-3),
        "w -= rate sign(b1 m + (1 - b1) g) (Chen et al. 2023)",
    ),
    "sophia": Optimizer(
        _chain(scale_by_sophia),
        rate(4e-4, 1e-6, 1e-2)
        | average("b1", 0.965, 0.5, 0.99)
        | average("b2", 0.99, 0.9, 0.999)
        | (eps(1e-8) | {"gamma": Hyperparameter(0.01, 1e-3, 1.0)} | decay(2e-1)),
        "w -= rate clip(m / (gamma h)), h the Hessian's diagonal, estimated every 10 steps (Liu et al. 2024, Sophia-H)",
    ),
    "adagrad": Optimizer(
        _chain(lambda eps: optax.scale_by_rss(0.1, eps)),
        rate(1e-2, 1e-4, 1.0) | eps(1e-7),
        "w -= rate g / sqrt(0.1 + sum of g^2 + eps) (Duchi et al. 2011)",
    ),
    "muon": Optimizer(
        muon,
        rate(1e-3, 1e-5, 1e-1)
        | {"adam_learning_rate": Hyperparameter(1e-3, 1e-5, 1e-1)}
        | average("momentum", 0.95, 0.5, 0.999)
        | (B1 | B2 | eps(1e-8)),
        "orthogonalised momentum for kernels, AdamW for head and biases (Jordan 2024; scaled as Liu et al. 2025)",
    ),
    "soap": Optimizer(
        soap,
        rate(3e-3, 1e-5, 1e-1)
        | (average("b1", 0.95, 0.5, 0.99) | average("b2", 0.95, 0.5, 0.999) | eps(1e-8))
        | {"frequency": Hyperparameter(10.0, 10.0, 10.0, ge=1.0)}
        | decay(1e-2),
        "AdamW in the eigenbasis of each kernel's gradients, refreshed every 10 steps (Vyas et al. 2024, one-sided)",
    ),
    "prodigy": Optimizer(
        prodigy,
        rate(1.0, 0.1, 10.0) | B1 | B2 | eps(1e-8),
        "AdamW that estimates its own rate, which learning_rate multiplies (Mishchenko & Defazio 2024)",
    ),
    "sam": Optimizer(
        sam,
        rate(1e-2, 1e-4, 1.0) | MOMENTUM | {"rho": Hyperparameter(0.05, 0.01, 0.5)},
        "momentum with the gradient at w + rho g / |g|: two gradients a step (Foret et al. 2021)",
    ),
    "schedule-free-sgd": Optimizer(
        schedule_free_sgd,
        rate(1.0, 1e-2, 10.0) | _AVERAGING_B1,
        "SGD whose evaluated parameters are a running average (Defazio et al. 2024)",
        schedule_free_params,
    ),
    "schedule-free-adamw": Optimizer(
        schedule_free_adamw,
        rate(2.5e-3, 1e-5, 1e-1) | _AVERAGING_B1 | B2 | eps(1e-8),
        "AdamW whose evaluated parameters are a running average (Defazio et al. 2024)",
        schedule_free_params,
    ),
}

for _name, _optimizer in _BUILT_IN.items():
    OPTIMIZERS.register(_name, _optimizer)
OPTIMIZERS.protect()
