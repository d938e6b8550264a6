"""Parameter groups: an update rule for some parameters, another for the rest."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import optax

from fmnist_jax.models import by_name


def parameter_groups(
    transformations: Mapping[str, optax.GradientTransformation], group: Callable[[str, Any], str]
) -> optax.GradientTransformation:
    """Returns a transformation that updates each parameter by the transformation of its group.

    **Arguments:**

    - `group`: `group(path, parameter)` returns the name of the group; `path` is such as `"blocks.0.conv1.kernel"`, and
      of `parameter` only the shape and dtype may be used.

    **Raises:** `ValueError`, when the parameters are known, where a group has no transformation.
    """

    def groups(params: Any) -> Any:
        found = [group(path, leaf) for path, leaf in by_name(params).items()]
        return jax.tree.unflatten(jax.tree.structure(params), found)

    return optax.partition(transformations, groups)
