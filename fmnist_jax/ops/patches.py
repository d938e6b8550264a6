"""Convolution as strided slices and one matrix product (im2col), its gradients, and the plan that uses it."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import sys

import jax
import jax.numpy as jnp
from jax import lax

from fmnist_jax.ops import chunks

Pair = tuple[int, ...]


def strided(x: jax.Array, start: Pair, out: Pair, strides: Pair) -> jax.Array:
    """Returns `[batch, *out, channels]`: the pixels of each image from `start` on, `strides` apart."""
    batch, _, _, channels = x.shape
    stop = [first + stride * (n - 1) + 1 for first, stride, n in zip(start, strides, out, strict=True)]
    return lax.slice(x, (0, *start, 0), (batch, *stop, channels), (1, *strides, 1))


def pad_to(x: jax.Array, before: Pair, size: Pair) -> jax.Array:
    """Pads `x[batch, height, width, channels]` with zeros to `[batch, *size, channels]`, `before` of them before it.

    Pixels outside of the result, as for a negative `before`, are cropped. The transpose, which is also the inverse if
    nothing was cropped, pads by `-before` to the size of `x`.
    """
    margins = [(low, total - low - n, 0) for low, total, n in zip(before, size, x.shape[1:3], strict=True)]
    return lax.pad(x, jnp.zeros((), x.dtype), [(0, 0, 0), *margins, (0, 0, 0)])


def crop_or_pad(x: jax.Array, size: Pair) -> jax.Array:
    """Crops `x`, or pads it with zeros, at its lower and right edges to `[batch, *size, channels]`."""
    return pad_to(x, (0, 0), size)


def output_size(size: Pair, taps: Pair, strides: Pair) -> Pair:
    """Returns height and width of an unpadded convolution's output."""
    return tuple(max(0, (n - k) // stride + 1) for n, k, stride in zip(size, taps, strides, strict=True))


def window_elements(y: jax.Array, pool: int) -> list[jax.Array]:
    """Returns one array `[batch, height / pool, width / pool, channels]` per position in the `pool x pool` windows."""
    out = tuple(n // pool for n in y.shape[1:3])
    return [strided(y, position, out, (pool, pool)) for position in _positions((pool, pool))]


def extract(x: jax.Array, window: Pair, out: Pair, *, start: Pair = (0, 0), strides: Pair = (1, 1)) -> jax.Array:
    """Gathers the window under each output position.

    **Arguments:**

    - `x`: `[batch, height, width, channels]`.
    - `window`: height and width of the window; `out`: number of windows, down and across.
    - `start`: the first window's upper left corner; `strides`: pixels from one window to the next, down and across.

    **Returns:** `[batch, *out, window height * window width * channels]`, ordered as a reshaped HWIO kernel is.
    """
    slices = [strided(x, (start[0] + i, start[1] + j), out, strides) for i, j in _positions(window)]
    return jnp.concatenate(slices, axis=-1)


def kernel_gradient(
    x: jax.Array, cotangent: jax.Array, window: Pair, *, start: Pair = (0, 0), strides: Pair = (1, 1)
) -> jax.Array:
    """Gradient of `extract(x, window, ...) @ kernel` for the kernel: `[window height * window width * in, out]`."""
    features = cotangent.shape[-1]
    patches = extract(x, window, cotangent.shape[1:3], start=start, strides=strides)
    rows = patches.reshape(-1, patches.shape[-1])
    return lax.dot_general(rows, cotangent.reshape(-1, features), (((0,), (0,)), ((), ())))


def input_gradient(kernel: jax.Array, cotangent: jax.Array, size: Pair, *, strides: Pair = (1, 1)) -> jax.Array:
    """Gradient for the input, `[batch, *size, in]`; rows and columns that no window covers get zero.

    One matrix product gives the gradient of every window's pixels; overlapping windows are added up (col2im).
    """
    kh, kw, fan_in, features = kernel.shape
    windows = (cotangent @ kernel.reshape(-1, features).T).reshape(*cotangent.shape[:3], kh, kw, fan_in)

    def place(i: int, j: int) -> jax.Array:
        margins = [
            (low, total - low - (stride * (n - 1) + 1), stride - 1)
            for low, total, stride, n in zip((i, j), size, strides, cotangent.shape[1:3], strict=True)
        ]
        return lax.pad(windows[:, :, :, i, j], jnp.zeros((), windows.dtype), [(0, 0, 0), *margins, (0, 0, 0)])

    return functools.reduce(jnp.add, [place(i, j) for i, j in _positions((kh, kw))])


@dataclasses.dataclass(frozen=True)
class PatchesPlan(chunks.ChunkedPlan):
    """Convolution by patches. Each element of the pooling windows is a convolution with `pool` times the strides.

    **Attributes:**

    - `before`: zeros before the images, down and across; `size`: of the padded images.
    - `strides`: of the convolution; `out`: height and width of its output; `pool`: side of the pooling windows, or 1.
    """

    before: Pair
    size: Pair
    strides: Pair
    out: Pair
    pool: int = 1

    def transform_kernel(self, kernel: jax.Array) -> jax.Array:
        return kernel

    def kernel_gradient(self, cotangent: jax.Array) -> jax.Array:
        return cotangent

    def max_chunk(self, kernel: jax.Array) -> int:
        """Returns how many examples' patches fit into the cache; without pooling, no limit."""
        if self.pool == 1:
            return sys.maxsize
        return chunks.max_chunk(self.out[0] * self.out[1] * kernel[..., 0].size * kernel.dtype.itemsize)

    def forward_chunk(self, x: jax.Array, kernel: jax.Array) -> list[jax.Array]:
        """Returns the window elements, a matrix product each; with pooling and one input channel, sums of slices."""
        x = pad_to(x, self.before, self.size)
        element = self._sum_of_slices if self.pool > 1 and kernel.shape[2] == 1 else self._matrix_product
        return [element(x, kernel, start) for start in self._starts]

    def backward_chunk(self, x: jax.Array, kernel: jax.Array, cotangent: jax.Array) -> tuple[jax.Array, jax.Array]:
        padded = pad_to(x, self.before, self.size)
        d_kernels = [
            kernel_gradient(padded, element, kernel.shape[:2], start=start, strides=self._window_strides)
            for start, element in zip(self._starts, window_elements(cotangent, self.pool), strict=True)
        ]
        d_padded = input_gradient(kernel, cotangent, self.size, strides=self.strides)
        d_x = pad_to(d_padded, tuple(-n for n in self.before), x.shape[1:3])
        return d_x, functools.reduce(jnp.add, d_kernels).reshape(kernel.shape)

    def _matrix_product(self, x: jax.Array, kernel: jax.Array, start: Pair) -> jax.Array:
        patches = extract(x, kernel.shape[:2], self._windows, start=start, strides=self._window_strides)
        return patches @ kernel.reshape(-1, kernel.shape[-1])

    def _sum_of_slices(self, x: jax.Array, kernel: jax.Array, start: Pair) -> jax.Array:
        """Faster than a matrix product over so few taps: XLA fuses the sum with bias, ReLU and pooling."""
        slices = [
            strided(x, (start[0] + i, start[1] + j), self._windows, self._window_strides) * kernel[i, j, 0]
            for i, j in _positions(kernel.shape[:2])
        ]
        return functools.reduce(jnp.add, slices)

    @property
    def _windows(self) -> Pair:
        return tuple(n // self.pool for n in self.out)

    @property
    def _window_strides(self) -> Pair:
        return tuple(self.pool * stride for stride in self.strides)

    @property
    def _starts(self) -> list[Pair]:
        """Where in the padded image the first of each of the window elements begins."""
        return [(i * self.strides[0], j * self.strides[1]) for i, j in _positions((self.pool, self.pool))]


def _positions(window: Pair) -> list[Pair]:
    """Returns the positions in a window in row-major order."""
    return list(itertools.product(*map(range, window)))
