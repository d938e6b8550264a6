"""Convolution as strided slices and one matrix product (im2col), without padding, and its gradients."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
from jax import lax

Pair = tuple[int, ...]


def extract(x: jax.Array, window: Pair, out: Pair, *, start: Pair = (0, 0), strides: Pair = (1, 1)) -> jax.Array:
    """Gathers the window under each output position.

    **Arguments:**

    - `x`: `[batch, height, width, channels]`.
    - `window`: height and width of the window; `out`: how many positions there are, down and across.
    - `start`: the first window's upper left corner; `strides`: pixels from one window to the next, down and across.

    **Returns:** `[batch, *out, window height * window width * channels]`, ordered as a reshaped HWIO kernel is.
    """
    batch, _, _, channels = x.shape
    reach = [stride * (n - 1) + 1 for n, stride in zip(out, strides, strict=True)]
    slices = [
        lax.slice(
            x,
            (0, start[0] + i, start[1] + j, 0),
            (batch, start[0] + i + reach[0], start[1] + j + reach[1], channels),
            (1, *strides, 1),
        )
        for i in range(window[0])
        for j in range(window[1])
    ]
    return jnp.concatenate(slices, axis=-1)


def positions(x: jax.Array, kernel: jax.Array, strides: Pair) -> Pair:
    """Returns how many windows of `kernel[kh, kw, ...]` fit into `x[batch, height, width, ...]`, down and across."""
    sizes = zip(x.shape[1:3], kernel.shape[:2], strides, strict=True)
    return tuple((size - k) // stride + 1 for size, k, stride in sizes)


def kernel_gradient(
    x: jax.Array, cotangent: jax.Array, window: Pair, *, start: Pair = (0, 0), strides: Pair = (1, 1)
) -> jax.Array:
    """Gradient of `extract(x, window, ...) @ kernel` for the kernel: `[window height * window width * in, out]`."""
    features = cotangent.shape[-1]
    taken = extract(x, window, cotangent.shape[1:3], start=start, strides=strides)
    rows = taken.reshape(-1, taken.shape[-1])
    return lax.dot_general(rows, cotangent.reshape(-1, features), (((0,), (0,)), ((), ())))


def input_gradient(kernel: jax.Array, cotangent: jax.Array, size: Pair, *, strides: Pair = (1, 1)) -> jax.Array:
    """Gradient for the input, `[batch, *size, in]`; rows and columns that no window touched get zero.

    The gradient of each window's pixels, one matrix product, is added up where windows overlap.
    """
    kh, kw, fan_in, features = kernel.shape
    pixels = (cotangent @ kernel.reshape(-1, features).T).reshape(*cotangent.shape[:3], kh, kw, fan_in)

    def place(i: int, j: int) -> jax.Array:
        margins = [
            (at, whole - at - (stride * (n - 1) + 1), stride - 1)
            for at, whole, stride, n in zip((i, j), size, strides, cotangent.shape[1:3], strict=True)
        ]
        return lax.pad(pixels[:, :, :, i, j], jnp.zeros((), pixels.dtype), [(0, 0, 0), *margins, (0, 0, 0)])

    return functools.reduce(jnp.add, [place(i, j) for i in range(kh) for j in range(kw)])


def bytes_each(kernel: jax.Array, out: Pair) -> int:
    """Returns the memory that the patches of one example take, for `out` positions down and across."""
    return out[0] * out[1] * kernel[..., 0].size * kernel.dtype.itemsize
