"""Which computation stands behind a convolution, chosen per backend and shape."""

from __future__ import annotations

from typing import Literal

import jax
import jax.numpy as jnp

from fmnist_jax.ops.patches import Pair

Lowering = Literal["auto", "xla", "patches", "winograd"]

# Tiles for larger ones that hold a pooling window round more than float32 can bear, those for 6x6 in the first place.
_LARGEST_WINOGRAD = 5


def choose(lowering: Lowering, kernel: jax.Array, strides: Pair) -> Lowering:
    """Returns `lowering` for `kernel[kernel height, kernel width, in, out]`, with `"auto"` replaced by the fastest.

    On a CPU, XLA's own convolution loses its fast path inside a loop body (jax issue 12868), so that matrix products
    are many times faster there; accelerators have good convolutions of their own. Winograd's filtering saves products
    where it is possible; where input channels are few its transforms cost more than they save. `"winograd"` where it is
    not possible, with other strides than 1, larger kernels or less than float32, is `"patches"`.
    """
    if lowering == "auto":
        if jax.default_backend() != "cpu":
            return "xla"
        lowering = "winograd" if kernel.shape[2] >= 8 and min(kernel.shape[:2]) > 1 else "patches"
    if lowering == "winograd" and not _fits_winograd(kernel, strides):
        return "patches"
    return lowering


def _fits_winograd(kernel: jax.Array, strides: Pair) -> bool:
    exact = kernel.dtype in (jnp.float32, jnp.float64)
    return exact and tuple(strides) == (1, 1) and max(kernel.shape[:2]) <= _LARGEST_WINOGRAD
