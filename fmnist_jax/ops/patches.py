"""Convolution as strided slices and one matrix product (im2col), without padding, and its gradients."""

from __future__ import annotations

import functools
import itertools

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
    places = itertools.product(range(window[0]), range(window[1]))
    slices = [strided(x, (start[0] + i, start[1] + j), out, strides) for i, j in places]
    return jnp.concatenate(slices, axis=-1)


def strided(x: jax.Array, start: Pair, out: Pair, strides: Pair) -> jax.Array:
    """Returns `out` pixels, down and across, of each image, beginning at `start` and `strides` apart."""
    batch, _, _, channels = x.shape
    stop = [at + stride * (n - 1) + 1 for at, stride, n in zip(start, strides, out, strict=True)]
    return lax.slice(x, (0, *start, 0), (batch, *stop, channels), (1, *strides, 1))


def framed(x: jax.Array, at: Pair, size: Pair) -> jax.Array:
    """Lays `x[batch, height, width, channels]` down `at` a place of a map `[batch, *size, channels]` of zeros.

    What is beyond the map, as of negative places, is cut off. To frame at `-at` by the size of `x` is the transpose,
    and the inverse where nothing was cut off.
    """
    margins = [(low, whole - low - n, 0) for low, whole, n in zip(at, size, x.shape[1:3], strict=True)]
    return lax.pad(x, jnp.zeros((), x.dtype), [(0, 0, 0), *margins, (0, 0, 0)])


def fitted(x: jax.Array, size: Pair) -> jax.Array:
    """Cuts or fills `x` with zeros at its lower and right edges to `[batch, *size, channels]`."""
    return framed(x, (0, 0), size)


def positions(size: Pair, kernel: jax.Array, strides: Pair) -> Pair:
    """Returns how many windows of `kernel[kh, kw, ...]` fit into an image of that size, down and across."""
    return tuple(max(0, (n - k) // stride + 1) for n, k, stride in zip(size, kernel.shape[:2], strides, strict=True))


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
    touched = (cotangent @ kernel.reshape(-1, features).T).reshape(*cotangent.shape[:3], kh, kw, fan_in)

    def place(i: int, j: int) -> jax.Array:
        margins = [
            (at, whole - at - (stride * (n - 1) + 1), stride - 1)
            for at, whole, stride, n in zip((i, j), size, strides, cotangent.shape[1:3], strict=True)
        ]
        return lax.pad(touched[:, :, :, i, j], jnp.zeros((), touched.dtype), [(0, 0, 0), *margins, (0, 0, 0)])

    return functools.reduce(jnp.add, [place(i, j) for i in range(kh) for j in range(kw)])


def bytes_each(kernel: jax.Array, out: Pair) -> int:
    """Returns the memory that the patches of one example take, for `out` positions down and across."""
    return out[0] * out[1] * kernel[..., 0].size * kernel.dtype.itemsize
