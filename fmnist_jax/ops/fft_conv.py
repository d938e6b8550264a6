"""FFT convolution: the spectrum of a whole image times that of the kernel, frequency by frequency.

In the discrete Fourier transform a convolution of stride 1 is a product at each frequency; over all examples and
channels it is a matrix product of complex numbers (Mathieu, Henaff & LeCun 2014, "Fast Training of Convolutional
Networks through FFTs", section 2). Its cost does not depend on the kernel's size. Its rounding error is little more
than a plain sum's, but relative to the largest numbers of an image rather than of a window: next to a pixel of 10,000,
zeros come out as some thousandths. The images are small, so their transforms are matrix products along each axis.

A spectrum is `[frequencies, batch, 2 channels]`, real parts before imaginary ones. Only half of a real image's spectrum
is stored; the other half is its conjugate. Frequencies that are their own conjugates have real values, stored in pairs
as if they were the real and imaginary part of one.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from fmnist_jax.ops import chunks, patches, tiles
from fmnist_jax.ops.chunks import no_fusion
from fmnist_jax.ops.patches import Pair

# What `backward` needs of `forward`: the spectra of the images; the kernel's; their products, which are overwritten.
Residuals = tuple[jax.Array, jax.Array, jax.Array]


@dataclasses.dataclass(frozen=True)
class FFTConvPlan:
    """The frequencies for convolving images of one size; each pair is of the vertical and the horizontal axis.

    **Attributes:**

    - `size`: of the images; `before`: zeros before them; `taps`: of the kernel.
    - `out`: height and width of the output; `pool`: side of the pooling windows, or 1.
    """

    size: Pair
    before: Pair
    taps: Pair
    out: Pair
    pool: int = 1

    @property
    def used(self) -> Pair:
        """The number of the image's first pixels that the kernel reaches."""
        axes = zip(self.size, self.out, self.taps, self.before, strict=True)
        return tuple(max(1, min(n, m + r - 1 - low)) for n, m, r, low in axes)

    @property
    def period(self) -> Pair:
        """The transform's size: enough zeros that the circular convolution does not wrap around into the output."""
        axes = zip(self.used, self.out, self.taps, self.before, strict=True)
        return tuple(max(n + max(low, 0), m + r - 1 - low) for n, m, r, low in axes)

    @property
    def kernel_coefficients(self) -> int:
        """Numbers of the transformed kernel per input and output channel."""
        return 2 * math.prod(self.period)

    # Products per example, input channel and output channel: four for each complex number.
    num_products = kernel_coefficients

    def transform_multiplications(self, fan_in: int, fan_out: int) -> int:
        """Returns how many multiplications the transforms of one example take."""
        inputs = tiles.multiplications(self.period, self.used, (1, 1), self.used)
        outputs = tiles.multiplications(self.period[::-1], self.out[::-1], (1, 1), self.out[::-1])
        return fan_in * inputs + fan_out * outputs

    def forward(
        self, x: jax.Array, kernel: jax.Array, epilogue: Callable[[list[jax.Array]], Any]
    ) -> tuple[Any, Residuals]:
        """Returns the epilogue's result and the residuals; see `fmnist_jax.ops.conv_algorithm.ConvPlan`."""
        kernel = self.transform_kernel(kernel)
        chunk = self._chunk(x.shape[0], kernel)
        # The matrix products take the whole batch, to be large; the transforms go in chunks, to stay in the cache.
        images = chunks.map_chunks(self.transform_input, chunk, x, out_axis=1)
        products = lax.dot_general(images, kernel, (((2,), (1,)), ((0,), (0,))))

        def finish(products: jax.Array) -> Any:
            return epilogue(patches.window_elements(self.transform_output(products), self.pool))

        return chunks.map_chunks(finish, chunk, products, axis=1), (images, kernel, products)

    def backward(
        self, residuals: Residuals, prologue: Callable[..., jax.Array], *batched: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """Returns the cotangents of `x` and of the kernel."""
        images, kernel, products = residuals
        chunk = self._chunk(images.shape[1], kernel)

        def transform(*batched: jax.Array) -> jax.Array:
            return self.output_gradient(prologue(*batched).astype(products.dtype))

        cotangents = chunks.map_chunks(transform, chunk, *batched, out_axis=1, donated_out=products)
        d_kernel = lax.dot_general(images, cotangents, (((1,), (1,)), ((0,), (0,))))
        d_images = lax.dot_general(cotangents, kernel, (((2,), (2,)), ((0,), (0,))))
        return chunks.map_chunks(self.input_gradient, chunk, d_images, axis=1), self.kernel_gradient(d_kernel)

    def transform_input(self, x: jax.Array) -> jax.Array:
        """Returns the spectrum of `x[batch, *size, in]`."""
        return self._transform(patches.crop_or_pad(x, self.used), self._bases(self.used))

    def input_gradient(self, spectrum: jax.Array) -> jax.Array:
        """The transpose of `transform_input`."""
        return patches.crop_or_pad(self._transpose(spectrum, self._bases(self.used)), self.size)

    def transform_output(self, spectrum: jax.Array) -> jax.Array:
        """Returns images `[batch, *out, out]`: the inverse transform, whose factors are in the kernel's spectrum."""
        return self._transpose(spectrum, self._bases(self.out))

    def output_gradient(self, y: jax.Array) -> jax.Array:
        """The transpose of `transform_output`."""
        return self._transform(y, self._bases(self.out))

    def transform_kernel(self, kernel: jax.Array) -> jax.Array:
        """Returns the matrices `[frequencies, 2 in, 2 out]` that multiply images' spectra, for `[*taps, in, out]`."""
        spectrum = self._transform(jnp.moveaxis(kernel, 2, 0), self._bases(self.taps, self.before))
        weights = self._complex_matrices(spectrum.dtype)

        def matrices(spectrum: jax.Array) -> jax.Array:
            parts = jnp.split(spectrum[:, None, :, None], 2, axis=-1)  # [frequencies, 1, in, 1, out]
            return weights[0] * parts[0] + weights[1] * parts[1]

        return no_fusion(matrices, spectrum).reshape(len(spectrum), 2 * spectrum.shape[1], -1)

    def kernel_gradient(self, cotangent: jax.Array) -> jax.Array:
        """The transpose of `transform_kernel`."""
        weights = self._complex_matrices(cotangent.dtype)
        frequencies, fan_in, fan_out = cotangent.shape

        def spectrum(cotangent: jax.Array) -> jax.Array:
            return jnp.concatenate([(part * cotangent).sum((1, 3)) for part in weights], axis=-1)

        parts = no_fusion(spectrum, cotangent.reshape(frequencies, 2, fan_in // 2, 2, fan_out // 2))
        return jnp.moveaxis(self._transpose(parts, self._bases(self.taps, self.before)), 0, 2)

    def _chunk(self, batch: int, kernel: jax.Array) -> int:
        """Returns how many examples to transform at a time for `kernel[frequencies, 2 in, 2 out]`."""
        bytes_per_pixel = max(kernel.shape[1:]) // 2 * kernel.dtype.itemsize
        return chunks.chunk_size(batch, chunks.max_chunk(2 * bytes_per_pixel * math.prod(self.period)))

    def _transform(self, x: jax.Array, bases: list[np.ndarray]) -> jax.Array:
        real = tiles.forward_transform(x, bases, (1, 1), (1, 1))
        return no_fusion(self._to_complex, real.reshape(*self.period, *real.shape[1:]))

    def _transpose(self, spectrum: jax.Array, bases: list[np.ndarray]) -> jax.Array:
        """The transpose of `_transform`."""
        real = no_fusion(self._from_complex, spectrum)
        size = tuple(basis.shape[1] for basis in bases)
        return tiles.inverse_transform(real.reshape(-1, *real.shape[2:]), [b.T for b in bases], size, (1, 1))

    def _to_complex(self, real: jax.Array) -> jax.Array:
        """Returns the spectrum for products with the basis along each axis, `[*period, batch, channels]`."""
        rows, columns = (np.cumsum(_counts(n)) for n in self.period)
        (ee, ec, es), (ce, cc, cs), (se, sc, ss) = (
            jnp.split(part, columns, axis=1) for part in jnp.split(real, rows)
        )  # e: the frequencies that are their own conjugates; c, s: cosines and sines of the others
        ends = _flatten(ee)
        ends = jnp.concatenate([ends, jnp.zeros_like(ends[: len(ends) % 2])])
        first, second = jnp.split(ends, 2)
        reals = [_flatten(cc - ss), _flatten(cc + ss), _flatten(ec), _flatten(ce), first]
        imaginaries = [_flatten(cs + sc), _flatten(sc - cs), _flatten(es), _flatten(se), second]
        return jnp.concatenate([jnp.concatenate(reals), jnp.concatenate(imaginaries)], axis=-1)

    def _from_complex(self, spectrum: jax.Array) -> jax.Array:
        """The transpose of `_to_complex`."""
        (e, c), (f, d) = map(_counts, self.period)
        shapes = [(c, d), (c, d), (e, d), (c, f)]
        splits = np.cumsum([math.prod(shape) for shape in shapes])
        parts = [jnp.split(half, splits) for half in jnp.split(spectrum, 2, axis=-1)]
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

    def _bases(self, size: Pair, before: Pair = (0, 0)) -> list[np.ndarray]:
        return [_basis(period, np.arange(n) - low) for period, n, low in zip(self.period, size, before, strict=True)]

    def _complex_matrices(self, dtype: jnp.dtype) -> np.ndarray:
        """Returns the factors of the real and imaginary part of a kernel's number in its 2x2 matrix.

        The matrix multiplies a complex number by the conjugate of the kernel's; where the parts are two real numbers,
        each by its own. It includes the inverse transform's factors, and counts a conjugate that is not stored.

        **Returns:** `[2, frequencies, 2, 1, 2, 1]`, for matrices `[frequencies, 2, in, 2, out]`.
        """
        frequencies = -(-math.prod(self.period) // 2)
        own = -(-math.prod(_counts(n)[0] for n in self.period) // 2)
        complex_ = 2 * np.array([[[1, 0], [0, 1]], [[0, -1], [1, 0]]])
        real = np.array([[[1, 0], [0, 0]], [[0, 0], [0, 1]]])
        matrices = np.stack([complex_] * (frequencies - own) + [real] * own, axis=1) / math.prod(self.period)
        return matrices[:, :, :, None, :, None].astype(dtype)


def _counts(period: int) -> Pair:
    """Returns how many frequencies of one axis are their own conjugates, and how many conjugate pairs there are."""
    pairs = (period - 1) // 2
    return period - 2 * pairs, pairs


def _basis(period: int, positions: np.ndarray) -> np.ndarray:
    """Returns `[period, positions]`: cosines of frequencies that are their own conjugates; cosines, sines of pairs."""
    ends, pairs = _counts(period)
    # Their own conjugates are frequency zero and, for an even period, half of the period's.
    frequencies = np.concatenate([np.arange(ends) * (period / 2), np.arange(1, pairs + 1)])
    angles = 2 * np.pi * np.outer(frequencies, positions) / period
    return np.vstack([np.cos(angles), np.sin(angles[ends:])])


def _flatten(x: jax.Array) -> jax.Array:
    return x.reshape(-1, *x.shape[2:])
