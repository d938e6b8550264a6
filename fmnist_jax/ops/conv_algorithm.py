"""The algorithm that computes a convolution, chosen per backend and shape, and its plan."""

from __future__ import annotations

import contextlib
import contextvars
import math
from collections.abc import Iterator, Sequence
from typing import Literal

import jax
import jax.numpy as jnp
from jax import lax

from fmnist_jax.config.schema import ConvAlgorithm
from fmnist_jax.ops.fft_conv import FFTConvPlan
from fmnist_jax.ops.patches import Pair, PatchesPlan, output_size
from fmnist_jax.ops.winograd import WinogradPlan
from fmnist_jax.runtime import batch_sharding

Padding = Literal["VALID", "SAME"] | Sequence[tuple[int, int]]

# A convolution that computes a few examples at a time, fused with what precedes and follows it. Plans are hashable.
#
# - `forward(x, kernel, epilogue) -> (epilogue(elements), residuals)` convolves `x[batch, height, width, in]` with
#   `kernel[kernel height, kernel width, in, out]`. `elements` are the output's pixels by their position in the pooling
#   windows, `pool * pool` arrays `[some, height' / pool, width' / pool, out]` in row-major order; without pooling, one.
# - `backward(residuals, prologue, *batched)` returns the cotangents of `x` and of `kernel`, where `prologue(*batched)`
#   is that of the convolution's output, `[some, *plan.out, out]`.
# - `out`: height and width of that output: those asked for or more, of which the first ones count.
ConvPlan = PatchesPlan | WinogradPlan | FFTConvPlan

# Larger tiles, of larger kernels, that hold a pooling window round more than float32 can bear: those for 6x6 first.
_MAX_WINOGRAD_TAPS = 5
# Side of the transform, and numbers of the transformed kernel: all are in memory at once.
_MAX_FFT_PERIOD = 64
_MAX_FFT_KERNEL = 2**24
# Cost of a multiplication within a matrix product, relative to one within an elementwise computation.
_PRODUCT_COST = 0.3
# Cost of writing a number of the patches: in the cache, and in memory, where those of a batch go without pooling.
_CACHED_PATCHES_COST, _PATCHES_COST = 1, 2
# Cost of a number of a transformed kernel, which is computed and, for the gradient, transformed back once per batch.
_KERNEL_COEFFICIENT_COST = 20

_PORTABLE = contextvars.ContextVar("portable", default=False)


@contextlib.contextmanager
def portable() -> Iterator[None]:
    """Leaves every convolution that is traced within to XLA, for a program that runs on devices not known here."""
    token = _PORTABLE.set(True)
    try:
        yield
    finally:
        _PORTABLE.reset(token)


def make_plan(
    x: jax.Array, kernel: jax.Array, strides: Pair, padding: Padding, algorithm: ConvAlgorithm, pool: int = 1
) -> tuple[ConvPlan | None, Pair]:
    """Plans a convolution, with `pool x pool` max-pooling of its output where `pool` is not 1.

    **Returns:** the plan, `None` to leave the convolution to XLA; and the result's height and width.
    """
    taps, strides = kernel.shape[:2], tuple(strides)
    if isinstance(padding, str):
        padding = lax.padtype_to_pads(x.shape[1:3], taps, strides, padding)
    before = tuple(low for low, _ in padding)
    size = tuple(n + low + high for n, (low, high) in zip(x.shape[1:3], padding, strict=True))
    result = tuple(n // pool for n in output_size(size, taps, strides))
    out = tuple(pool * n for n in result)
    fft = FFTConvPlan(x.shape[1:3], before, taps, out, pool)
    chosen = choose(algorithm, kernel, strides, fft, x.shape[0] // batch_sharding.num_shards())
    if chosen == "xla" or 0 in (*x.shape, *kernel.shape, *result):
        return None, result
    if chosen == "fourier":
        return fft, result
    if chosen == "winograd":
        return WinogradPlan.of(out, taps, before, pool), result
    return PatchesPlan(before, size, strides, out, pool), result


def choose(algorithm: ConvAlgorithm, kernel: jax.Array, strides: Pair, fft: FFTConvPlan, batch: int) -> ConvAlgorithm:
    """Returns `algorithm` for `kernel[kernel height, kernel width, in, out]`, with `"auto"` replaced by the fastest.

    On a CPU, XLA's own convolution loses its fast path inside a loop body (jax issue 12868): matrix products are many
    times faster there. Accelerators have good convolutions of their own. Winograd and FFT convolutions save products;
    FFT saves the more the larger the kernel is, and its transforms cost the more the larger the image is. For few
    input channels or images the transforms cost more than they save.

    Within `portable` it is always `"xla"`.

    Where it is not possible, `"winograd"` becomes `"patches"`: for strides other than 1, larger kernels, or less than
    float32. So does `"fourier"`, except for larger kernels.

    **Arguments:**

    - `fft`: the plan of the FFT convolution, or what it would be with strides of 1.
    - `batch`: the number of images that share a transformed kernel.
    """
    if _PORTABLE.get():
        return "xla"
    if algorithm == "auto":
        algorithm = _fastest(kernel, strides, fft, batch)
    transformable = kernel.dtype in (jnp.float32, jnp.float64) and tuple(strides) == (1, 1)
    possible = {"winograd": transformable and _fits_winograd(kernel), "fourier": transformable}
    return algorithm if possible.get(algorithm, True) else "patches"


def _fastest(kernel: jax.Array, strides: Pair, fft: FFTConvPlan, batch: int) -> ConvAlgorithm:
    if jax.default_backend() != "cpu":
        return "xla"
    if kernel.shape[2] < 8 or min(kernel.shape[:2]) == 1 or tuple(strides) != (1, 1):
        return "patches"
    channels = kernel.shape[2:]
    write = _PATCHES_COST if fft.pool == 1 else _CACHED_PATCHES_COST
    patches_cost = math.prod(fft.out) * (_PRODUCT_COST * kernel.size + write * math.prod(kernel.shape[:3]))
    costs: dict[ConvAlgorithm, float] = {"patches": patches_cost}
    if max(fft.period) <= _MAX_FFT_PERIOD and fft.kernel_coefficients * math.prod(channels) <= _MAX_FFT_KERNEL:
        costs["fourier"] = _cost(fft, channels, batch)
    if _fits_winograd(kernel):
        costs["winograd"] = _cost(WinogradPlan.of(fft.out, kernel.shape[:2], pool=fft.pool), channels, batch)
    return min(costs, key=lambda algorithm: costs[algorithm])


def _cost(plan: FFTConvPlan | WinogradPlan, channels: Pair, batch: int) -> float:
    """Returns the cost of one example's convolution, in multiplications of an elementwise computation."""
    per_pair = _PRODUCT_COST * plan.num_products + _KERNEL_COEFFICIENT_COST * plan.kernel_coefficients / max(1, batch)
    return plan.transform_multiplications(*channels) + per_pair * math.prod(channels)


def _fits_winograd(kernel: jax.Array) -> bool:
    return max(kernel.shape[:2]) <= _MAX_WINOGRAD_TAPS
