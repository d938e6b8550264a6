"""Convolution as strided slices and one matrix product (im2col), for stride 1 and no padding."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
from jax import lax


def extract(
    x: jax.Array, window: tuple[int, ...], out: tuple[int, ...], start: tuple[int, ...] = (0, 0), stride: int = 1
) -> jax.Array:
    """Gathers the window under each output position.

    **Arguments:**

    - `x`: `[batch, height, width, channels]`.
    - `window`: height and width of the window; `out`: how many positions there are, down and across.
    - `start`: the first window's upper left corner; `stride`: pixels from one window to the next.

    **Returns:** `[batch, *out, window height * window width * channels]`, ordered as a reshaped HWIO kernel is.
    """
    batch, _, _, channels = x.shape
    reach = [stride * (n - 1) + 1 for n in out]
    slices = [
        lax.slice(
            x,
            (0, start[0] + i, start[1] + j, 0),
            (batch, start[0] + i + reach[0], start[1] + j + reach[1], channels),
            (1, stride, stride, 1),
        )
        for i in range(window[0])
        for j in range(window[1])
    ]
    return jnp.concatenate(slices, axis=-1)


def convolve(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Convolves `x[batch, height, width, in]` with `kernel[kh, kw, in, out]`, stride 1, no padding."""
    kh, kw, _, features = kernel.shape
    out = (x.shape[1] - kh + 1, x.shape[2] - kw + 1)
    return extract(x, (kh, kw), out) @ kernel.reshape(-1, features)


def kernel_gradient(
    x: jax.Array, cotangent: jax.Array, window: tuple[int, ...], start: tuple[int, ...] = (0, 0), stride: int = 1
) -> jax.Array:
    """Gradient of `extract(x, window, ...) @ kernel` for the kernel: `[window height * window width * in, out]`."""
    features = cotangent.shape[-1]
    taken = extract(x, window, cotangent.shape[1:3], start, stride)
    rows = taken.reshape(-1, taken.shape[-1])
    return lax.dot_general(rows, cotangent.reshape(-1, features), (((0,), (0,)), ((), ())))


def input_gradient(kernel: jax.Array, cotangent: jax.Array, size: tuple[int, ...]) -> jax.Array:
    """Gradient of `convolve` for its input, `[batch, *size, in]`; rows and columns that no window touched get zero.

    The gradient of each window's pixels, one matrix product, is added up where windows overlap.
    """
    kh, kw, fan_in, features = kernel.shape
    height, width = cotangent.shape[1:3]
    pixels = (cotangent @ kernel.reshape(-1, features).T).reshape(*cotangent.shape[:3], kh, kw, fan_in)
    placed = [
        jnp.pad(pixels[:, :, :, i, j], ((0, 0), (i, size[0] - height - i), (j, size[1] - width - j), (0, 0)))
        for i in range(kh)
        for j in range(kw)
    ]
    return functools.reduce(jnp.add, placed)


def bytes_each(kernel: jax.Array, out: tuple[int, ...]) -> int:
    """Returns the memory that the patches of one example take, for `out` positions down and across."""
    return out[0] * out[1] * kernel[..., 0].size * kernel.dtype.itemsize
