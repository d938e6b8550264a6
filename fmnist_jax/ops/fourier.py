"""Convolution as products of spectra: that of a whole image with that of the kernel, frequency by frequency.

In the discrete Fourier transform a convolution of stride 1 is a product at each frequency; over all examples and
channels it is a matrix product of complex numbers (Mathieu, Henaff & LeCun 2014, "Fast Training of Convolutional
Networks through FFTs", section 2). It takes as much for a large kernel as for a small one, and rounds little more than
a plain sum does, but by the largest numbers of an image rather than of a window: next to a pixel of 10,000, zeros come
out as some thousandths. The images are small: their transforms are matrix products along each axis.

A spectrum is `[frequencies, batch, 2 channels]`, real parts before imaginary ones. Of a real image's spectrum one half
says it all, the other is its conjugate. Frequencies that are their own conjugates have real values; two of them stand
together as if they were the parts of one.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from fmnist_jax.ops import chunks, patches, tiles
from fmnist_jax.ops.fence import fenced
from fmnist_jax.ops.patches import Pair


@dataclasses.dataclass(frozen=True)
class Spectrum:
    """The frequencies for convolving images of one size; each pair is of the vertical and the horizontal axis.

    **Attributes:**

    - `size`: of the images; `before`: how many zeros are before them; `taps`: of the kernel.
    - `out`: of the result, whose first pixel the kernel's first tap reaches `before` pixels earlier.
    """

    size: Pair
    before: Pair
    taps: Pair
    out: Pair

    @property
    def used(self) -> Pair:
        """How many of the image's first pixels the kernel reaches."""
        axes = zip(self.size, self.out, self.taps, self.before, strict=True)
        return tuple(max(1, min(n, m + r - 1 - low)) for n, m, r, low in axes)

    @property
    def period(self) -> Pair:
        """After how many pixels images repeat for the transform: where the kernel leaves one it meets only zeros."""
        axes = zip(self.used, self.out, self.taps, self.before, strict=True)
        return tuple(max(n + max(low, 0), m + r - 1 - low) for n, m, r, low in axes)

    @property
    def products(self) -> int:
        """Of a number of an input channel with one of the kernel, for one example; four make one of complex numbers."""
        return self.kernel_numbers

    @property
    def kernel_numbers(self) -> int:
        """Of the transformed kernel, for an input and an output channel."""
        return 2 * math.prod(self.period)

    def transforms(self, fan_in: int, fan_out: int) -> int:
        """Returns how many multiplications the transforms of one example take."""
        inputs = tiles.multiplications(self.period, self.used, (1, 1), self.used)
        outputs = tiles.multiplications(self.period[::-1], self.out[::-1], (1, 1), self.out[::-1])
        return fan_in * inputs + fan_out * outputs

    def most(self, pixel: int) -> int:
        """Returns how many examples, whose pixels take so many bytes, to transform at a time, at most."""
        return chunks.most(2 * pixel * math.prod(self.period))

    def inputs(self, x: jax.Array) -> jax.Array:
        """Returns the spectrum of `x[batch, *size, in]`."""
        return self._taken_apart(patches.fitted(x, self.used), self._basis(self.used))

    def input_gradient(self, spectrum: jax.Array) -> jax.Array:
        """The transpose of `inputs`."""
        return patches.fitted(self._put_together(spectrum, self._basis(self.used)), self.size)

    def outputs(self, spectrum: jax.Array) -> jax.Array:
        """Returns images `[batch, *out, out]`: the inverse transform, whose factors are in the kernel's spectrum."""
        return self._put_together(spectrum, self._basis(self.out))

    def output_gradient(self, y: jax.Array) -> jax.Array:
        """The transpose of `outputs`."""
        return self._taken_apart(y, self._basis(self.out))

    def kernel(self, kernel: jax.Array) -> jax.Array:
        """Returns `[frequencies, 2 in, 2 out]` for `[*taps, in, out]`, by which spectra of images are multiplied."""
        spectrum = self._taken_apart(jnp.moveaxis(kernel, 2, 0), self._basis(self.taps, self.before))
        weights = self._matrices(spectrum.dtype)

        def matrices(spectrum: jax.Array) -> jax.Array:
            parts = jnp.split(spectrum[:, None, :, None], 2, axis=-1)  # [frequencies, 1, in, 1, out]
            return weights[0] * parts[0] + weights[1] * parts[1]

        return fenced(matrices, spectrum).reshape(len(spectrum), 2 * spectrum.shape[1], -1)

    def kernel_gradient(self, cotangent: jax.Array) -> jax.Array:
        """The transpose of `kernel`."""
        weights = self._matrices(cotangent.dtype)
        places, fan_in, fan_out = cotangent.shape

        def spectrum(cotangent: jax.Array) -> jax.Array:
            return jnp.concatenate([(part * cotangent).sum((1, 3)) for part in weights], axis=-1)

        parts = fenced(spectrum, cotangent.reshape(places, 2, fan_in // 2, 2, fan_out // 2))
        return jnp.moveaxis(self._put_together(parts, self._basis(self.taps, self.before)), 0, 2)

    def _taken_apart(self, x: jax.Array, basis: list[np.ndarray]) -> jax.Array:
        real = tiles.taken_apart(x, basis, (1, 1), (1, 1))
        return fenced(self._complex, real.reshape(*self.period, *real.shape[1:]))

    def _put_together(self, spectrum: jax.Array, basis: list[np.ndarray]) -> jax.Array:
        """The transpose of `_taken_apart`."""
        real = fenced(self._real, spectrum)
        size = tuple(matrix.shape[1] for matrix in basis)
        return tiles.put_together(real.reshape(-1, *real.shape[2:]), [matrix.T for matrix in basis], size, (1, 1))

    def _complex(self, real: jax.Array) -> jax.Array:
        """Returns the spectrum for products with the basis along each axis, `[*period, batch, channels]`."""
        down, across = map(_ends, self.period)
        rows = jnp.split(real, down)
        (ee, ec, es), (ce, cc, cs), (se, sc, ss) = (jnp.split(part, across, axis=1) for part in rows)
        ends = _flat(ee)
        ends = jnp.concatenate([ends, jnp.zeros_like(ends[: len(ends) % 2])])
        first, second = jnp.split(ends, 2)
        reals = [_flat(cc - ss), _flat(cc + ss), _flat(ec), _flat(ce), first]
        imaginaries = [_flat(cs + sc), _flat(sc - cs), _flat(es), _flat(se), second]
        return jnp.concatenate([jnp.concatenate(reals), jnp.concatenate(imaginaries)], axis=-1)

    def _real(self, spectrum: jax.Array) -> jax.Array:
        """The transpose of `_complex`."""
        (e, c), (f, d) = ((low, inner) for low, inner in map(_counts, self.period))
        shapes = [(c, d), (c, d), (e, d), (c, f)]
        cuts = np.cumsum([math.prod(shape) for shape in shapes])
        parts = [jnp.split(half, cuts) for half in jnp.split(spectrum, 2, axis=-1)]
        (plus, minus, ec, ce), (plus_i, minus_i, es, se) = (
            [part.reshape(*shape, *part.shape[1:]) for part, shape in zip(half[:-1], shapes, strict=True)]
            for half in parts
        )
        ends = jnp.concatenate([half[-1] for half in parts])[: e * f]
        rows = [
            [ends.reshape(e, f, *ends.shape[1:]), ec, es],
            [ce, plus + minus, plus_i - minus_i],
            [se, plus_i + minus_i, minus - plus],
        ]
        return jnp.concatenate([jnp.concatenate(row, axis=1) for row in rows])

    def _basis(self, size: Pair, before: Pair = (0, 0)) -> list[np.ndarray]:
        return [_basis(period, np.arange(n) - low) for period, n, low in zip(self.period, size, before, strict=True)]

    def _matrices(self, dtype: jnp.dtype) -> np.ndarray:
        """What the real and the imaginary part of a kernel's number are multiplied by in its matrix.

        The matrix multiplies the parts of a number by the kernel's conjugate; where the parts are two real numbers, one
        by the other's. The inverse transform's factors are in it: a conjugate that is left out counts, too.

        **Returns:** `[2, frequencies, 2, 1, 2, 1]`, of the matrix `[frequencies, 2, in, 2, out]`.
        """
        places = -(-math.prod(self.period) // 2)
        own = -(-math.prod(_counts(n)[0] for n in self.period) // 2)
        complex_ = 2 * np.array([[[1, 0], [0, 1]], [[0, -1], [1, 0]]])
        real = np.array([[[1, 0], [0, 0]], [[0, 0], [0, 1]]])
        matrices = np.stack([complex_] * (places - own) + [real] * own, axis=1) / math.prod(self.period)
        return matrices[:, :, :, None, :, None].astype(dtype)


def _counts(period: int) -> Pair:
    """Returns how many frequencies of one axis are their own conjugates, and how many pairs the others are."""
    pairs = (period - 1) // 2
    return period - 2 * pairs, pairs


def _ends(period: int) -> list[int]:
    ends, pairs = _counts(period)
    return [ends, ends + pairs]


def _basis(period: int, positions: np.ndarray) -> np.ndarray:
    """Returns `[period, positions]`: the cosines of those that are their own conjugates, cosines and sines of pairs."""
    ends, pairs = _counts(period)
    # In the first of them there is no frequency, in the second one a half of the period's.
    frequencies = np.concatenate([np.arange(ends) * (period / 2), np.arange(1, pairs + 1)])
    angles = 2 * np.pi * np.outer(frequencies, positions) / period
    return np.vstack([np.cos(angles), np.sin(angles[ends:])])


def _flat(x: jax.Array) -> jax.Array:
    return x.reshape(-1, *x.shape[2:])


class Residuals(NamedTuple):
    """What `backward` takes of `forward`.

    **Attributes:** the spectra of the images; the kernel's; their products, whose memory may be written over.
    """

    images: jax.Array
    kernel: jax.Array
    products: jax.Array


def forward(
    spectrum: Spectrum, x: jax.Array, kernel: jax.Array, finish: Callable[[jax.Array], Any]
) -> tuple[Any, Residuals]:
    """Convolves `x[batch, *size, in]` with `kernel[*taps, in, out]`.

    **Returns:** `finish` of the result, a few examples `[some, *out, out]` at a time, and what `backward` takes.
    """
    kernel = spectrum.kernel(kernel)
    chunk = _chunk(spectrum, x.shape[0], kernel)
    # In one go, the products are larger; the transforms in chunks stay in the cache.
    images = chunks.mapped(spectrum.inputs, chunk, x, out_axis=1)
    products = lax.dot_general(images, kernel, (((2,), (1,)), ((0,), (0,))))
    finished = chunks.mapped(lambda part: finish(spectrum.outputs(part)), chunk, products, axis=1)
    return finished, Residuals(images, kernel, products)


def backward(
    spectrum: Spectrum, residuals: Residuals, begin: Callable[..., jax.Array], *batched: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Returns the cotangents of `x` and of the kernel for `begin(*batched)`, that of the result of the convolution."""
    images, kernel, products = residuals
    chunk = _chunk(spectrum, images.shape[1], kernel)

    def apart(*batched: jax.Array) -> jax.Array:
        return spectrum.output_gradient(begin(*batched).astype(products.dtype))

    cotangents = chunks.mapped(apart, chunk, *batched, out_axis=1, over=products)
    d_kernel = lax.dot_general(images, cotangents, (((1,), (1,)), ((0,), (0,))))
    d_images = lax.dot_general(cotangents, kernel, (((2,), (2,)), ((0,), (0,))))
    return chunks.mapped(spectrum.input_gradient, chunk, d_images, axis=1), spectrum.kernel_gradient(d_kernel)


def _chunk(spectrum: Spectrum, batch: int, kernel: jax.Array) -> int:
    """Returns how many examples to transform at a time for `kernel[frequencies, 2 in, 2 out]`."""
    return chunks.size(batch, spectrum.most(max(kernel.shape[1:]) // 2 * kernel.dtype.itemsize))
