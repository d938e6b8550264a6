"""Search spaces that update rules share."""

from __future__ import annotations

from fmnist_jax.optim.entry import Hyperparameter

Space = dict[str, Hyperparameter]


def rate(default: float, low: float, high: float) -> Space:
    """Returns the space of a learning rate."""
    return {"learning_rate": Hyperparameter(default, low, high)}


def eps(default: float, low: float = 1e-10, high: float = 1e-2) -> Space:
    """Returns the space of what is added to a denominator."""
    return {"eps": Hyperparameter(default, low, high)}


def decay(default: float, low: float = 1e-5, high: float = 1.0) -> Space:
    """Returns the space of the weight decay, for methods that have one by default."""
    return {"weight_decay": Hyperparameter(default, low, high)}


def average(name: str, default: float, low: float, high: float) -> Space:
    """Returns the space of the decay of a moving average; what is searched is its length, 1 / (1 - decay)."""
    return {name: Hyperparameter(default, low, high, "log1m")}


MOMENTUM = average("momentum", 0.9, 0.5, 0.999)
B1 = average("b1", 0.9, 0.5, 0.99)
B2 = average("b2", 0.999, 0.9, 0.9999)
