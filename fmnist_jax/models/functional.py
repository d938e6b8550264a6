"""Any registered network as pure functions of its arrays, which a run can differentiate, map and shard.

What Flax's modules keep inside is taken apart here: trained parameters, other state such as running statistics, and the
state of random number generators, which is made anew from a key for every call.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
from flax import nnx
from flax.core import DenyList
from jax import lax

from fmnist_jax.data import Description
from fmnist_jax.errors import ConfigError
from fmnist_jax.models.adapt import create, taken
from fmnist_jax.models.batch_norm import batch_mask
from fmnist_jax.models.layers import ComputeConfig
from fmnist_jax.models.registry import by_name
from fmnist_jax.runtime.user_code import user_code

Arrays: TypeAlias = dict[str, Any]

# What a network may keep beside its parameters and its other state; neither is carried from step to step.
_TRANSIENT = (nnx.Intermediate, nnx.Perturbation)

# What a key of a step or of the initialisation is folded with: for streams without a key of their own in the `nnx.Rngs`
# that a network is given, and for those that it keeps.
_OTHER_STREAMS, _OWN_STREAMS = 2**31 + 1, 2**31 + 2
_MUTABLE = DenyList(("params", "intermediates"))  # collections of a Linen module that training may change


class FunctionalModel:
    """The network `name`, as functions of its parameters and its other state, nested dicts of arrays.

    **Arguments:**

    - `compute`: the dtype and the convolution algorithm. The parameters stay float32.
    - `options`: of the network's own factory.
    - `description`: of the data; `batch_size`: images of a training step.

    **Raises:** `ConfigError` for an unknown name, wrong options, or a network that does not work with these data.
    """

    def __init__(
        self,
        name: str,
        compute: ComputeConfig,
        options: Mapping[str, Any],
        description: Description,
        batch_size: int,
    ):
        self._name, self._data = name, description
        self._arguments = compute, options, description
        with user_code(f"model {name!r}", "cannot be made"):
            abstract = nnx.eval_shape(lambda: self._create(jax.random.key(0)))
            self._structure = nnx.graphdef(abstract)
            self._rngs = nnx.to_pure_dict(nnx.state(abstract, nnx.RngState))
        self._check(abstract, batch_size)
        statistics = nnx.to_pure_dict(nnx.state(abstract, nnx.BatchStat))
        self._statistics = {path for path, _ in jax.tree_util.tree_leaves_with_path(statistics)}

    @property
    def has_statistics(self) -> bool:
        """Whether the network keeps running averages over batches (`nnx.BatchStat`)."""
        return bool(self._statistics)

    def init(self, key: jax.Array) -> tuple[Arrays, Arrays]:
        """Returns new parameters and other state."""
        return _arrays(self._create(key))

    def train(
        self, params: Arrays, state: Arrays, images: jax.Array, key: jax.Array, mask: jax.Array | None
    ) -> tuple[jax.Array, Arrays]:
        """Returns the logits `float32[batch, classes]` in training mode, and the new state.

        **Arguments:**

        - `images`: `float32[batch, height, width, channels]`.
        - `key`: of this step, for dropout and whatever else is random.
        - `mask`: `bool[batch]`, false for padding; `None` where there is none.
        """
        model = self._merge(params, state, key)
        model.train()
        extra = {"train": True, "rngs": nnx.Rngs(jax.random.fold_in(key, _OTHER_STREAMS), dropout=key), "mask": mask}
        with batch_mask(mask):
            logits = self._call(model, images, extra, mutable=True)
        return logits, _arrays(model)[1]

    def estimate_statistics(
        self, params: Arrays, state: Arrays, batches: jax.Array, images_of: Callable[[jax.Array], jax.Array]
    ) -> Arrays:
        """Returns the state with each running average (`nnx.BatchStat`) replaced by its mean over batches, dropout off.

        A running average is affine in its old value, `momentum * old + (1 - momentum) * batch`, whichever layer keeps
        it. The first batch is taken twice, from the old values 1 and 0, which gives the momentum.

        **Arguments:**

        - `batches`: `int32[number, batch]`, without padding; `images_of`: the images of one of them.
        """

        def updated(_: None, batch: tuple[jax.Array, jax.Array]) -> tuple[None, Arrays]:
            rows, old = batch
            filled = self._map_statistics(lambda leaf: jnp.broadcast_to(old, leaf.shape).astype(leaf.dtype), state)
            model = self._merge(params, filled, jax.random.key(0))
            model.eval()
            model.set_attributes(use_running_average=False, raise_if_not_found=False)
            self._call(model, images_of(rows), {"train": True, "rngs": nnx.Rngs(0)}, mutable=True)
            return None, _arrays(model)[1]

        olds = jnp.zeros(len(batches) + 1).at[0].set(1.0)
        _, new = lax.scan(updated, None, (jnp.concatenate([batches[:1], batches]), olds))
        means = self._map_statistics(lambda leaf: leaf[1:].mean(0) / (1 - (leaf[0] - leaf[1])), new)
        return self._map_statistics(lambda _, mean: mean, state, means)

    def evaluate(self, params: Arrays, state: Arrays, images: jax.Array) -> jax.Array:
        """Returns the logits `float32[batch, classes]` in evaluation mode."""
        model = self._merge(params, state, jax.random.key(0))
        model.eval()
        return self._call(model, images, {"train": False})

    def _call(self, model: Any, images: jax.Array, extra: Mapping[str, Any], *, mutable: bool = False) -> jax.Array:
        if mutable and isinstance(model, nnx.bridge.ToNNX):
            extra = {**extra, "mutable": _MUTABLE}
        logits: jax.Array = model(images, **taken(model, extra))
        return logits.astype(jnp.float32)

    def _create(self, key: jax.Array) -> nnx.Module:
        return create(self._name, nnx.Rngs(jax.random.fold_in(key, _OTHER_STREAMS), params=key), *self._arguments)

    def _merge(self, params: Arrays, state: Arrays, key: jax.Array) -> nnx.Module:
        """Puts the module together, its random number generators seeded from `key`."""
        key = jax.random.fold_in(key, _OWN_STREAMS)
        leaves, structure = jax.tree.flatten(self._rngs)
        seeded = [
            jax.random.fold_in(key, index) if _is_key(leaf) else jnp.zeros(leaf.shape, leaf.dtype)
            for index, leaf in enumerate(leaves)
        ]
        module: nnx.Module = nnx.merge(self._structure, params, jax.tree.unflatten(structure, seeded), state)
        return module

    def _check(self, abstract: nnx.Module, batch_size: int) -> None:
        """Raises `ConfigError` unless the network works in every mode, and its state keeps its shapes."""
        params, state = _arrays(abstract)
        for name, leaf in by_name(params).items():
            if not jnp.issubdtype(leaf.dtype, jnp.floating):
                raise self._error(f"trains {name}, an nnx.Param of {leaf.dtype}; make it an nnx.Variable")
        for name, leaf in by_name(state).items():
            if _is_key(leaf):
                raise self._error(f"keeps a random key in {name}; keep an nnx.RngStream, such as rngs.dropout.fork()")
        batch, one = (jax.ShapeDtypeStruct((size, *self._data.image_shape), jnp.float32) for size in (batch_size, 1))
        key, mask = jax.eval_shape(lambda: (jax.random.key(0), jnp.ones(batch_size, bool)))
        with user_code(f"model {self._name!r}", f"fails on images {list(batch.shape)}"):
            logits, new_state = jax.eval_shape(self.train, params, state, batch, key, mask)
            scored = jax.eval_shape(self.evaluate, params, state, one)
        for images, found in ((batch, logits), (one, scored)):
            expected = (images.shape[0], self._data.num_classes)
            if found.shape != expected:
                raise self._error(
                    f"maps images {list(images.shape)} to {list(found.shape)}, not to logits {list(expected)}"
                )
        before, after = by_name(state), by_name(new_state)
        for name in sorted(before.keys() | after.keys()):
            old, new = (_describe(arrays.get(name)) for arrays in (before, after))
            if old != new:
                raise self._error(f"has {name} of {old} before a step and {new} after it; keep its shape and dtype")

    def _map_statistics(self, function: Callable[..., jax.Array], state: Arrays, *others: Arrays) -> Arrays:
        """Returns the state with `function` applied to its running averages alone."""

        def mapped(path: Any, leaf: jax.Array, *rest: jax.Array) -> jax.Array:
            return function(leaf, *rest) if path in self._statistics else leaf

        result: Arrays = jax.tree_util.tree_map_with_path(mapped, state, *others)
        return result

    def _error(self, problem: str) -> ConfigError:
        return ConfigError(f"model {self._name!r} {problem}")


def _arrays(model: nnx.Module) -> tuple[Arrays, Arrays]:
    """Splits a model's arrays into its trained parameters and the state that is carried from step to step."""
    parts: Any = nnx.split(model, nnx.Param, nnx.RngState, _TRANSIENT, ...)
    _, params, _, _, state = parts
    return nnx.to_pure_dict(params), nnx.to_pure_dict(state)


def _is_key(leaf: Any) -> bool:
    return bool(jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key))


def _describe(leaf: Any) -> str:
    return "nothing" if leaf is None else f"{leaf.dtype}{list(leaf.shape)}"
