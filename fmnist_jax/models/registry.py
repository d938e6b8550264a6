"""Networks by name, and what a registered factory is called with.

The contract: `factory(rngs=nnx.Rngs(...))` returns an `nnx.Module`, written as Flax's documentation writes them, that
maps float images `[batch, height, width, channels]` in [0, 1] to logits `[batch, classes]`. Trained arrays are
`nnx.Param`s; all other state is in other `nnx.Variable`s. A factory gets further arguments only where its signature
takes them: `num_classes`, `image_shape` (height, width, channels), `compute` (a `ComputeConfig`) and options.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import jax
import numpy as np
from flax import nnx

from fmnist_jax.config.registry import Registry
from fmnist_jax.errors import TYPE_NAMES, ConfigError, did_you_mean

_Factory = TypeVar("_Factory", bound=Callable[..., nnx.Module])

# What the run gives, if a factory takes it; no option may have these names.
GIVEN = ("rngs", "compute", "num_classes", "image_shape")


@dataclasses.dataclass(frozen=True)
class Model:
    """An entry of the registry: the factory and a one-line summary."""

    factory: Callable[..., nnx.Module]
    summary: str

    def parameters(self) -> dict[str, inspect.Parameter]:
        """Returns the named parameters of the factory, empty where its signature cannot be read."""
        return _parameters(self.factory)


def _parameters(factory: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    if isinstance(factory, functools.partial):
        inner = list(_parameters(factory.func).items())[len(factory.args) :]
        bound = factory.keywords
        return {name: each.replace(default=bound[name]) if name in bound else each for name, each in inner}
    if isinstance(factory, type):  # by its metaclass, calling an nnx.Module takes anything
        return dict(list(_parameters(inspect.getattr_static(factory, "__init__")).items())[1:])
    for eval_str in (True, False):  # annotations may name what is imported for type checking only
        with contextlib.suppress(NameError, TypeError, ValueError):
            found = inspect.signature(factory, eval_str=eval_str).parameters
            return {name: each for name, each in found.items() if each.kind is not each.POSITIONAL_ONLY}
    return {}


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


def arguments(name: str, given: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what to call the factory of the model `name` with: what it takes of `given`, and the options.

    **Raises:** `ConfigError` for an option that the factory does not take, or of a wrong type.
    """
    parameters = MODELS.get(name).parameters()
    open_ended = any(each.kind is each.VAR_KEYWORD for each in parameters.values())
    own = {key: each for key, each in parameters.items() if key not in GIVEN and each.kind not in _VARIADIC}
    for key, value in options.items():
        if key in own:
            _check_type(key, value, own[key])
        elif key in GIVEN or not open_ended:
            takes = f"takes {', '.join(own)}" if own else "takes no options"
            raise ConfigError(
                f"config.model.options.{key} is not an option of {name!r}, which {takes}{did_you_mean(key, own)}"
            )
    return {key: value for key, value in given.items() if key in parameters} | dict(options)


_VARIADIC = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)


def _check_type(key: str, value: Any, parameter: inspect.Parameter) -> None:
    """Checks an option against the annotation of its parameter, or the type of its default, where that is plain."""
    kind = parameter.annotation if parameter.annotation is not parameter.empty else type(parameter.default)
    if kind not in TYPE_NAMES:
        return
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not (is_number if kind is float else type(value) is kind):
        raise ConfigError(f"config.model.options.{key} must be {TYPE_NAMES[kind]}, not {value!r}")


def count_parameters(params: Any) -> int:
    """Returns the total size of a tree's arrays, which may be shapes only."""
    return sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(params))


def by_name(tree: Any, separator: str = ".") -> dict[str, Any]:
    """Returns the leaves of a tree, in its order, by their path, such as `"conv1.kernel"`."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator=separator): leaf for path, leaf in leaves}


def parameter_table(params: Any) -> str:
    """Returns one line per array (name, shape, size) and the total; `params` may be shapes only."""
    rows = [(name, leaf.shape, leaf.size) for name, leaf in by_name(params, "/").items()]
    width = max(len(name) for name, _, _ in rows)
    lines = [f"{name:<{width}}  {'x'.join(map(str, shape)):>12}  {size:>10,}" for name, shape, size in rows]
    return "\n".join([*lines, f"{'total':<{width}}  {'':>12}  {count_parameters(params):>10,}"])
