"""Models by name. A model is made by `factory(compute=..., rngs=...)` and called as `model(x, train=..., rngs=...)`."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TypeVar

import jax
import jax.numpy as jnp
from flax import nnx

from fmnist_jax.errors import ConfigError, unknown_name
from fmnist_jax.models.layers import ComputeConfig

_Factory = TypeVar("_Factory", bound=Callable[..., nnx.Module])


@dataclasses.dataclass(frozen=True)
class Model:
    """An entry of the registry: the factory and one line about it."""

    factory: Callable[..., nnx.Module]
    summary: str


_MODELS: dict[str, Model] = {}


def register(name: str, summary: str) -> Callable[[_Factory], _Factory]:
    """Returns a decorator that enters a factory or an `nnx.Module` class under `name`.

    The module maps float images `[batch, 28, 28, 1]` in [0, 1] to logits `[batch, 10]`, is called with `train` and,
    in training, `rngs` (stream `dropout`), and keeps trained arrays in `nnx.Param`, others in further `nnx.Variable`s.
    """

    def enter(factory: _Factory) -> _Factory:
        if name in _MODELS:
            raise ValueError(f"a model is registered as {name!r} already")
        _MODELS[name] = Model(factory, summary)
        return factory

    return enter


def names() -> tuple[str, ...]:
    """Returns the registered names."""
    return tuple(_MODELS)


def create(name: str, rngs: nnx.Rngs, compute: ComputeConfig | None = None) -> nnx.Module:
    """Makes the model registered as `name`; raises `ConfigError` for an unknown name."""
    check(name)
    return _MODELS[name].factory(compute=compute or ComputeConfig(), rngs=rngs)


def check(name: str) -> None:
    """Raises `ConfigError` unless `name` is registered and maps `[2, 28, 28, 1]` to `[2, 10]`; computes nothing."""
    if name not in _MODELS:
        raise unknown_name("config.model.name", name, _MODELS)

    def probe(images: jax.Array) -> jax.Array:
        return _MODELS[name].factory(compute=ComputeConfig(), rngs=nnx.Rngs(0))(images, train=False)

    logits = jax.eval_shape(probe, jax.ShapeDtypeStruct((2, 28, 28, 1), jnp.float32))
    if logits.shape != (2, 10):
        raise ConfigError(f"model {name!r} maps images [2, 28, 28, 1] to {list(logits.shape)}, not to logits [2, 10]")
