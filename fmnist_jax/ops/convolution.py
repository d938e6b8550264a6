"""Two-dimensional convolution with one interface over its lowerings."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, Literal

import jax
from jax import lax

from fmnist_jax.ops import chunks, fourier, patches, winograd
from fmnist_jax.ops.fourier import Spectrum
from fmnist_jax.ops.lowering import ConvAlgorithm, choose
from fmnist_jax.ops.patches import Pair
from fmnist_jax.ops.winograd import Tiling
from fmnist_jax.runtime import batch_sharding

Padding = Literal["VALID", "SAME"] | Sequence[tuple[int, int]]
_LAYOUT = ("NHWC", "HWIO", "NHWC")


def conv2d(
    x: jax.Array,
    kernel: jax.Array,
    *,
    strides: Pair = (1, 1),
    padding: Padding = "VALID",
    algorithm: ConvAlgorithm = "auto",
) -> jax.Array:
    """Convolves as `lax.conv_general_dilated` does with layouts NHWC, HWIO, NHWC.

    **Arguments:**

    - `x`: `[batch, height, width, in]`.
    - `kernel`: `[kernel height, kernel width, in, out]`.
    - `strides`: down and across.
    - `padding`: `"VALID"`, `"SAME"`, or `((above, below), (left, right))`.

    **Returns:** `[batch, height', width', out]`, the same values for every algorithm up to rounding.
    """
    strides, (at, size) = tuple(strides), frame(x, kernel, strides, padding)
    out = patches.positions(size, kernel, strides)
    spectrum = Spectrum(x.shape[1:3], at, kernel.shape[:2], out)
    chosen = choose(algorithm, kernel, strides, spectrum, x.shape[0] // batch_sharding.num_shards())
    if chosen == "xla" or 0 in (*x.shape, *kernel.shape, *out):
        return lax.conv_general_dilated(x, kernel, strides, padding, dimension_numbers=_LAYOUT)
    if chosen == "patches":
        return _by_patches(patches.framed(x, at, size), kernel, strides)
    if chosen == "fourier":
        return batch_sharding.shard_map_batch(lambda *arrays: _compiled_fourier(*arrays, spectrum), (x,), (kernel,))
    tiling = Tiling.of(out, kernel.shape[:2])
    framed = patches.framed(x, at, tiling.covered)
    whole = batch_sharding.shard_map_batch(lambda *arrays: _compiled_winograd(*arrays, tiling), (framed,), (kernel,))
    return patches.fitted(whole, out)


def conv_general_dilated(
    lhs: jax.Array,
    rhs: jax.Array,
    window_strides: Sequence[int],
    padding: Padding,
    lhs_dilation: Sequence[int] | None = None,
    rhs_dilation: Sequence[int] | None = None,
    dimension_numbers: Any = None,
    feature_group_count: int = 1,
    **others: Any,
) -> jax.Array:
    """Stands in for `lax.conv_general_dilated`, e.g. as `nnx.Conv(..., conv_general_dilated=conv_general_dilated)`.

    Plain two-dimensional convolutions in `nnx.Conv`'s layout go through `conv2d` with the automatic algorithm; dilated,
    grouped and other ones through XLA.
    """
    numbers = lax.conv_dimension_numbers(lhs.shape, rhs.shape, dimension_numbers)
    plain = lhs.ndim == 4 and numbers == lax.conv_dimension_numbers(lhs.shape, rhs.shape, _LAYOUT)
    dilated = any(d != 1 for d in (*(lhs_dilation or ()), *(rhs_dilation or ())))
    if plain and not dilated and feature_group_count == 1 and others.get("batch_group_count", 1) == 1:
        return conv2d(lhs, rhs, strides=tuple(window_strides), padding=padding)
    return lax.conv_general_dilated(
        lhs, rhs, window_strides, padding, lhs_dilation, rhs_dilation, dimension_numbers, feature_group_count, **others
    )


def frame(x: jax.Array, kernel: jax.Array, strides: Pair, padding: Padding) -> tuple[Pair, Pair]:
    """Returns where `x` lies among the zeros that `padding` adds, and how large the whole is; see `patches.framed`."""
    if isinstance(padding, str):
        padding = lax.padtype_to_pads(x.shape[1:3], kernel.shape[:2], strides, padding)
    at = tuple(before for before, _ in padding)
    return at, tuple(n + sum(pair) for n, pair in zip(x.shape[1:3], padding, strict=True))


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _by_patches(x: jax.Array, kernel: jax.Array, strides: Pair) -> jax.Array:
    out = patches.positions(x.shape[1:3], kernel, strides)
    taken = patches.extract(x, kernel.shape[:2], out, strides=strides)
    return taken @ kernel.reshape(-1, kernel.shape[-1])


def _forward(x: jax.Array, kernel: jax.Array, strides: Pair) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return _by_patches(x, kernel, strides), (x, kernel)


def _backward(
    strides: Pair, residuals: tuple[jax.Array, jax.Array], cotangent: jax.Array
) -> tuple[jax.Array, jax.Array]:
    x, kernel = residuals
    d_kernel = patches.kernel_gradient(x, cotangent, kernel.shape[:2], strides=strides)
    d_x = patches.input_gradient(kernel, cotangent, x.shape[1:3], strides=strides)
    return d_x, d_kernel.reshape(kernel.shape)


_by_patches.defvjp(_forward, _backward)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _by_winograd(x: jax.Array, kernel: jax.Array, tiling: Tiling) -> jax.Array:
    prepared = tiling.kernel(kernel)
    chunk = chunks.size(x.shape[0], tiling.most)
    whole: jax.Array = chunks.mapped(lambda x: winograd.forward(tiling, x, prepared), chunk, x)
    return whole


def _forward_winograd(x: jax.Array, kernel: jax.Array, tiling: Tiling) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return _by_winograd(x, kernel, tiling), (x, kernel)


def _backward_winograd(
    tiling: Tiling, residuals: tuple[jax.Array, jax.Array], cotangent: jax.Array
) -> tuple[jax.Array, jax.Array]:
    x, kernel = residuals
    prepared = tiling.kernel(kernel)

    def backward(x: jax.Array, cotangent: jax.Array) -> tuple[jax.Array, jax.Array]:
        return winograd.backward(tiling, x, prepared, cotangent)

    d_x, d_prepared = chunks.summed(backward, chunks.size(x.shape[0], tiling.most), x, cotangent)
    return d_x, tiling.kernel_gradient(d_prepared)


_by_winograd.defvjp(_forward_winograd, _backward_winograd)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _by_fourier(x: jax.Array, kernel: jax.Array, spectrum: Spectrum) -> jax.Array:
    return _forward_fourier(x, kernel, spectrum)[0]


def _forward_fourier(x: jax.Array, kernel: jax.Array, spectrum: Spectrum) -> tuple[jax.Array, Any]:
    return fourier.forward(spectrum, x, kernel, lambda y: y)


def _backward_fourier(spectrum: Spectrum, residuals: Any, cotangent: jax.Array) -> tuple[jax.Array, jax.Array]:
    return fourier.backward(spectrum, residuals, lambda cotangent: cotangent, cotangent)


_by_fourier.defvjp(_forward_fourier, _backward_fourier)
# Else each call outside of a compiled function would compile its fenced pieces anew.
_compiled_winograd, _compiled_fourier = (
    jax.jit(function, static_argnums=2) for function in (_by_winograd, _by_fourier)
)
