"""Which computation stands behind a convolution, chosen per backend."""

from __future__ import annotations

from typing import Literal

import jax

Lowering = Literal["auto", "xla", "patches"]


def choose(lowering: Lowering) -> Lowering:
    """Returns `lowering`, with `"auto"` replaced by what is fastest on the default backend.

    On a CPU, XLA's own convolution loses its fast path inside a loop body (jax issue 12868), so patches and one
    matrix product are many times faster there; accelerators have good convolutions of their own.
    """
    if lowering != "auto":
        return lowering
    return "patches" if jax.default_backend() == "cpu" else "xla"
