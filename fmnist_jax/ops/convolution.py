"""Two-dimensional convolution with one interface over its lowerings."""

from __future__ import annotations

from typing import Literal

import jax
import jax.numpy as jnp
from jax import lax

from fmnist_jax.ops import patches
from fmnist_jax.ops.lowering import Lowering, choose

Padding = Literal["VALID", "SAME"]


def conv2d(x: jax.Array, kernel: jax.Array, *, padding: Padding = "VALID", lowering: Lowering = "auto") -> jax.Array:
    """Convolves with stride 1.

    **Arguments:**

    - `x`: `[batch, height, width, in]`.
    - `kernel`: `[kernel height, kernel width, in, out]`.

    **Returns:** `[batch, height', width', out]`, the same values for every lowering up to rounding.
    """
    if choose(lowering) == "xla":
        return lax.conv_general_dilated(x, kernel, (1, 1), padding, dimension_numbers=("NHWC", "HWIO", "NHWC"))
    return _by_patches(pad(x, kernel, padding), kernel)


def pad(x: jax.Array, kernel: jax.Array, padding: Padding) -> jax.Array:
    """Pads `x` with zeros so that a convolution without padding gives what `padding` asks for at stride 1."""
    if padding == "VALID":
        return x
    margins = [((k - 1) // 2, k // 2) for k in kernel.shape[:2]]
    return jnp.pad(x, ((0, 0), *margins, (0, 0)))


@jax.custom_vjp
def _by_patches(x: jax.Array, kernel: jax.Array) -> jax.Array:
    return patches.convolve(x, kernel)


def _forward(x: jax.Array, kernel: jax.Array) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return patches.convolve(x, kernel), (x, kernel)


def _backward(residuals: tuple[jax.Array, jax.Array], cotangent: jax.Array) -> tuple[jax.Array, jax.Array]:
    x, kernel = residuals
    d_kernel = patches.kernel_gradient(x, cotangent, kernel.shape[:2])
    return patches.input_gradient(kernel, cotangent, x.shape[1:3]), d_kernel.reshape(kernel.shape)


_by_patches.defvjp(_forward, _backward)
