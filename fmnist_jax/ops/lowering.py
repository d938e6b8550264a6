"""Which computation stands behind a convolution, chosen per backend and shape."""

from __future__ import annotations

import math
from typing import Literal

import jax
import jax.numpy as jnp

from fmnist_jax.ops.fourier import Spectrum
from fmnist_jax.ops.patches import Pair
from fmnist_jax.ops.winograd import Tiling

ConvAlgorithm = Literal["auto", "xla", "patches", "winograd", "fourier"]

# Tiles for larger ones that hold a pooling window round more than float32 can bear, those for 6x6 in the first place.
_LARGEST_WINOGRAD = 5
# Pixels a side, after which images repeat, and numbers of a transformed kernel: all are in memory at once.
_LARGEST_FOURIER = 64
_LARGEST_SPECTRUM = 2**24
# How long a multiplication takes within a matrix product, where it takes 1 within an elementwise computation.
_PRODUCT = 0.3
# How long a number of a transformed kernel takes, which is made and, for the gradient, transformed back once a batch.
_KERNEL_NUMBER = 20


def choose(
    algorithm: ConvAlgorithm, kernel: jax.Array, strides: Pair, spectrum: Spectrum, batch: int, multiple: int = 1
) -> ConvAlgorithm:
    """Returns `algorithm` for `kernel[kernel height, kernel width, in, out]`, with `"auto"` replaced by the fastest.

    On a CPU, XLA's own convolution loses its fast path inside a loop body (jax issue 12868), so that matrix products
    are many times faster there; accelerators have good convolutions of their own. Winograd's filtering and products of
    spectra save products where they are possible, the latter the more the larger the kernel is, but the more the larger
    the image is the longer their transforms take; where input channels or images are few transforms cost more than
    they save.
    `"winograd"` where it is not possible, with other strides than 1, larger kernels or less than float32, is
    `"patches"`, and so is `"fourier"` but for larger kernels.

    **Arguments:**

    - `spectrum`: of the convolution, or what it would be with strides of 1.
    - `batch`: for how many images the kernel is transformed.
    - `multiple`: as of `Tiling.of`.
    """
    if algorithm == "auto":
        algorithm = _fastest(kernel, strides, spectrum, batch, multiple)
    transformed = kernel.dtype in (jnp.float32, jnp.float64) and tuple(strides) == (1, 1)
    possible = {"winograd": transformed and _fits_winograd(kernel), "fourier": transformed}
    return algorithm if possible.get(algorithm, True) else "patches"


def _fastest(kernel: jax.Array, strides: Pair, spectrum: Spectrum, batch: int, multiple: int) -> ConvAlgorithm:
    if jax.default_backend() != "cpu":
        return "xla"
    if kernel.shape[2] < 8 or min(kernel.shape[:2]) == 1 or tuple(strides) != (1, 1):
        return "patches"
    channels = kernel.shape[2:]
    work: dict[ConvAlgorithm, float] = {
        "patches": math.prod(spectrum.out) * (_PRODUCT * kernel.size + math.prod(kernel.shape[:3]))
    }
    if max(spectrum.period) <= _LARGEST_FOURIER and spectrum.kernel_numbers * math.prod(channels) <= _LARGEST_SPECTRUM:
        work["fourier"] = _work(spectrum, channels, batch)
    if _fits_winograd(kernel):
        work["winograd"] = _work(Tiling.of(spectrum.out, kernel.shape[:2], multiple), channels, batch)
    return min(work, key=lambda algorithm: work[algorithm])


def _work(transformed: Spectrum | Tiling, channels: Pair, batch: int) -> float:
    """Returns how long the convolution of an example takes, in multiplications of an elementwise computation."""
    each_pair = _PRODUCT * transformed.products + _KERNEL_NUMBER * transformed.kernel_numbers / max(1, batch)
    return transformed.transforms(*channels) + each_pair * math.prod(channels)


def _fits_winograd(kernel: jax.Array) -> bool:
    return max(kernel.shape[:2]) <= _LARGEST_WINOGRAD
