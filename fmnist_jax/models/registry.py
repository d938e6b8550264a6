"""Models by name, and tables of their parameters.

The contract of a model: `factory(compute=ComputeConfig(...), rngs=nnx.Rngs(...))` returns an `nnx.Module`, which maps
float images `[batch, 28, 28, 1]` in [0, 1] to logits `[batch, 10]` when called as `model(images, train=..., rngs=...)`.
Only training passes `rngs`, with the stream `dropout`. Trained arrays are `nnx.Param`s; all other state is in other
`nnx.Variable`s, such as those of `nnx.BatchNorm`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from fmnist_jax.config.registry import Registry
from fmnist_jax.data import FASHION_MNIST, Description
from fmnist_jax.errors import ConfigError
from fmnist_jax.models.layers import ComputeConfig

_Factory = TypeVar("_Factory", bound=Callable[..., nnx.Module])


@dataclasses.dataclass(frozen=True)
class Model:
    """An entry of the registry: the factory and a one-line summary."""

    factory: Callable[..., nnx.Module]
    summary: str


MODELS: Registry[Model] = Registry("a model", "config.model.name")
names = MODELS.names


def register(name: str, summary: str) -> Callable[[_Factory], _Factory]:
    """Returns a decorator that registers a factory or an `nnx.Module` class; see the contract above.

    A second registration under the same name replaces the first. **Raises:** `ValueError` for a built-in model's name.
    """

    def enter(factory: _Factory) -> _Factory:
        MODELS.register(name, Model(factory, summary))
        return factory

    return enter


def create(
    name: str, rngs: nnx.Rngs, compute: ComputeConfig | None = None, description: Description = FASHION_MNIST
) -> nnx.Module:
    """Returns a new model for such data; raises `ConfigError` as `check` does."""
    check(name, description)
    return MODELS.get(name).factory(compute=compute or ComputeConfig(), rngs=rngs)


def check(name: str, description: Description = FASHION_MNIST) -> None:
    """Raises `ConfigError` unless `name` is registered and maps images of such data to logits; computes nothing."""
    factory = MODELS.get(name).factory

    def logits(images: jax.Array) -> jax.Array:
        return factory(compute=ComputeConfig(), rngs=nnx.Rngs(0))(images, train=False)

    images, expected = (2, *description.image_shape), (2, description.num_classes)
    shape = jax.eval_shape(logits, jax.ShapeDtypeStruct(images, jnp.float32)).shape
    if shape != expected:
        raise ConfigError(f"model {name!r} maps images {list(images)} to {list(shape)}, not to logits {list(expected)}")


def count_parameters(params: Any) -> int:
    """Returns the total size of a tree's arrays, which may be shapes only."""
    return sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(params))


def parameter_table(params: Any) -> str:
    """Returns one line per array (name, shape, size) and the total; `params` may be shapes only."""
    leaves = jax.tree_util.tree_leaves_with_path(params)
    rows = [(jax.tree_util.keystr(path, simple=True, separator="/"), leaf.shape, leaf.size) for path, leaf in leaves]
    width = max(len(name) for name, _, _ in rows)
    lines = [f"{name:<{width}}  {'x'.join(map(str, shape)):>12}  {size:>10,}" for name, shape, size in rows]
    return "\n".join([*lines, f"{'total':<{width}}  {'':>12}  {count_parameters(params):>10,}"])
