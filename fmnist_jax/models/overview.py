"""A table of a model's parameters."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np


def count(params: Any) -> int:
    """Returns how many numbers the arrays of a tree hold."""
    return sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(params))


def table(params: Any) -> str:
    """Returns one line per array (name, shape, size) and the total; `params` may hold shapes only."""
    rows = [
        ("/".join(str(getattr(part, "key", getattr(part, "name", part))) for part in path), leaf.shape, count(leaf))
        for path, leaf in jax.tree_util.tree_leaves_with_path(params)
    ]
    width = max(len(name) for name, _, _ in rows)
    lines = [f"{name:<{width}}  {'x'.join(map(str, shape)):>12}  {size:>10,}" for name, shape, size in rows]
    return "\n".join([*lines, f"{'total':<{width}}  {'':>12}  {count(params):>10,}"])
