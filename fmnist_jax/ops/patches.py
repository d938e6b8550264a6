"""Convolution as strided slices and one matrix product (im2col), and the padding that all plans share."""

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

    def max_chunk(self, kernel: jax.Array) -> int:
        """Returns how many examples' patches fit into the cache; no limit where they are the image's own pixels."""
        if kernel.shape[:2] == (1, 1):
            return sys.maxsize
        return chunks.max_chunk(self.out[0] * self.out[1] * kernel[..., 0].size * kernel.dtype.itemsize)

    def forward_chunk(self, x: jax.Array, kernel: jax.Array) -> list[jax.Array]:
        """Returns the window elements, a matrix product each; with one input channel, sums of slices."""
        elements = self._slices(pad_to(x, self.before, self.size), kernel.shape[:2])
        if kernel.shape[2] > 1:
            return [jnp.concatenate(slices, axis=-1) @ _rows(kernel) for slices in elements]
        # Faster than a product over so few taps: XLA fuses the sum with what follows.
        taps = [kernel[i, j, 0] for i, j in _positions(kernel.shape[:2])]
        products = ([part * tap for part, tap in zip(slices, taps, strict=True)] for slices in elements)
        return [functools.reduce(jnp.add, terms) for terms in products]

    def backward_chunk(self, x: jax.Array, kernel: jax.Array, cotangent: jax.Array) -> tuple[jax.Array, jax.Array]:
        padded = pad_to(x, self.before, self.size)
        elements = zip(self._slices(padded, kernel.shape[:2]), window_elements(cotangent, self.pool), strict=True)
        d_kernels = [
            lax.dot_general(_rows(jnp.concatenate(slices, axis=-1)), _rows(element), (((0,), (0,)), ((), ())))
            for slices, element in elements
        ]
        d_x = pad_to(self._input_gradient(kernel, cotangent), tuple(-n for n in self.before), x.shape[1:3])
        return d_x, functools.reduce(jnp.add, d_kernels).reshape(kernel.shape)

    def _slices(self, x: jax.Array, taps: Pair) -> list[list[jax.Array]]:
        """Returns, for each window element, the padded image under each tap; side by side they are its patches."""
        out = tuple(n // self.pool for n in self.out)
        strides = tuple(self.pool * stride for stride in self.strides)
        starts = [(i * self.strides[0], j * self.strides[1]) for i, j in _positions((self.pool, self.pool))]
        return [
            [strided(x, (down + i, across + j), out, strides) for i, j in _positions(taps)] for down, across in starts
        ]

    def _input_gradient(self, kernel: jax.Array, cotangent: jax.Array) -> jax.Array:
        """Returns `[batch, *size, in]`; pixels that no patch covers get zero.

        One matrix product gives the gradient of every patch; overlapping ones are added up (col2im).
        """
        kh, kw, fan_in, features = kernel.shape
        patches = (cotangent @ kernel.reshape(-1, features).T).reshape(*cotangent.shape[:3], kh, kw, fan_in)

        def place(i: int, j: int) -> jax.Array:
            margins = [
                (low, total - low - (stride * (n - 1) + 1), stride - 1)
                for low, total, stride, n in zip((i, j), self.size, self.strides, cotangent.shape[1:3], strict=True)
            ]
            return lax.pad(patches[:, :, :, i, j], jnp.zeros((), patches.dtype), [(0, 0, 0), *margins, (0, 0, 0)])

        return functools.reduce(jnp.add, [place(i, j) for i, j in _positions((kh, kw))])


def _positions(window: Pair) -> list[Pair]:
    """Returns the positions in a window in row-major order."""
    return list(itertools.product(*map(range, window)))


def _rows(x: jax.Array) -> jax.Array:
    return x.reshape(-1, x.shape[-1])
