"""A `ConfigDict` that takes NumPy's numbers, such as `config.optimizer.learning_rate = rates[i]`."""

from __future__ import annotations

from typing import Any

import ml_collections


class Config(ml_collections.ConfigDict):
    """A `ConfigDict` whose values are Python's own: the scalars and arrays of NumPy and JAX are converted when set.

    Without that, its check of types refuses most of them, and the others cannot be written as JSON.
    """

    def __setitem__(self, key: str, value: Any) -> None:
        super().__setitem__(key, _plain(value))


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()  # a scalar of NumPy's becomes a number
    if type(value) in (list, tuple):
        return type(value)(map(_plain, value))
    return {name: _plain(item) for name, item in value.items()} if type(value) is dict else value
