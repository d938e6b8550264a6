"""Where one piece of a program ends and the next begins, for the compiler."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
from jax.experimental.xla_metadata import set_xla_metadata

_ATTRIBUTE = "inlineable"


def fenced(function: Callable[..., Any], *arguments: Any) -> Any:
    """Returns `function(*arguments)`, whose results are written to memory before anything reads them.

    XLA fuses elementwise operations into all of their readers. Where each of many readers reads much of what many
    operations compute, as between the two halves of a transform along two axes, they are computed over and over again.
    `jax.lax.optimization_barrier` does not help: it is dropped before operations are fused.

    **Arguments:**

    - `function`: of pytrees of arrays, to one.
    """

    def piece(*arguments: Any) -> Any:
        with set_xla_metadata(**{_ATTRIBUTE: None}):
            return function(*arguments)

    with set_xla_metadata(**{_ATTRIBUTE: "false"}):
        return jax.jit(piece)(*arguments)
