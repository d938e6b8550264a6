"""The weights of a network apart from its run: arrays by name, as a file, and put into another network."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from fmnist_jax.errors import ConfigError
from fmnist_jax.models import by_name

Weights: TypeAlias = Mapping[str, np.ndarray]

_SHOWN = 6  # arrays named in a line


class Fit(NamedTuple):
    """Which arrays of a network given weights fill, by name: `"params.logits.kernel"`, `"model_state.norm.mean"`.

    **Attributes:**

    - `loaded`: those that they fill. The others keep their initial values:
    - `reshaped`: those of another shape or dtype, as `"name [12, 10] -> [12, 5]"`; `missing`: those without a weight.
    - `unused`: the weights that the network has no array for.
    """

    loaded: list[str]
    reshaped: list[str]
    missing: list[str]
    unused: list[str]

    def describe(self) -> str:
        """Returns one line that says which arrays are loaded and names the others."""
        total = sum(map(len, (self.loaded, self.reshaped, self.missing)))
        parts = [f"{len(self.loaded)} of {total} arrays loaded"]
        others = {"re-initialised": self.reshaped, "only in this network": self.missing, "only there": self.unused}
        for what, names in others.items():
            if names:
                more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
                parts.append(f"{what}: {', '.join(names[:_SHOWN])}{more}")
        return "; ".join(parts)


def gather(params: Any, model_state: Any) -> dict[str, np.ndarray]:
    """Returns a network's arrays by name, on the host; floating ones as `float32`, which every `.npz` file holds."""
    return {
        name: np.asarray(leaf, np.float32 if _floating(leaf) else None)
        for name, leaf in by_name({"params": params, "model_state": model_state}).items()
    }


def to_npz(weights: Weights) -> bytes:
    """Returns the weights as a `.npz` file; the same weights give the same bytes."""
    file = io.BytesIO()
    np.savez(file, **dict(sorted(weights.items())))  # type: ignore[arg-type]
    return file.getvalue()


def sha256(content: bytes) -> str:
    """Returns the SHA-256 of a file's content in hex."""
    return hashlib.sha256(content).hexdigest()


def fit(weights: Mapping[str, Any], params: Any, model_state: Any) -> Fit:
    """Returns which arrays of a network the weights fill; its arrays may be shapes only.

    **Raises:** `ConfigError` where they fill no parameter.
    """
    own = by_name({"params": params, "model_state": model_state})
    loaded = [name for name, leaf in own.items() if name in weights and _fits(weights[name], leaf)]
    reshaped = [
        f"{name} {_describe(weights[name])} -> {_describe(leaf)}"
        for name, leaf in own.items()
        if name in weights and name not in loaded
    ]
    missing, unused = [name for name in own if name not in weights], [name for name in weights if name not in own]
    found = Fit(loaded, reshaped, missing, unused)
    if not any(name.startswith("params.") for name in loaded):
        raise ConfigError(
            f"config.init_from: none of the parameters there fits this network ({found.describe()}); "
            "take the run of a similar network"
        )
    return found


def put_into(weights: Mapping[str, Any], params: Any, model_state: Any) -> tuple[Any, Any]:
    """Returns a network's arrays with those that the weights fill replaced; raises `ConfigError` as `fit` does."""
    loaded, tree = set(fit(weights, params, model_state).loaded), {"params": params, "model_state": model_state}
    leaves = [
        jnp.asarray(weights[name], leaf.dtype) if name in loaded else leaf for name, leaf in by_name(tree).items()
    ]
    filled = jax.tree.unflatten(jax.tree.structure(tree), leaves)
    return filled["params"], filled["model_state"]


def _floating(leaf: Any) -> bool:
    return bool(jnp.issubdtype(leaf.dtype, jnp.floating))


def _fits(weight: Any, leaf: Any) -> bool:
    same_kind = weight.dtype == leaf.dtype or (_floating(weight) and _floating(leaf))
    return same_kind and weight.shape == leaf.shape


def _describe(leaf: Any) -> str:
    return f"{'' if _floating(leaf) else leaf.dtype}{list(leaf.shape)}"
