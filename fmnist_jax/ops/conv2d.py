"""Two-dimensional convolution: one interface to all algorithms, and a stand-in for `lax.conv_general_dilated`."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import jax
from jax import lax

from fmnist_jax.config.schema import ConvAlgorithm
from fmnist_jax.ops.conv_algorithm import ConvPlan, Padding, make_plan
from fmnist_jax.ops.patches import Pair, crop_or_pad
from fmnist_jax.runtime import batch_sharding

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
    plan, out = make_plan(x, kernel, strides, padding, algorithm)
    if plan is None:
        return lax.conv_general_dilated(x, kernel, strides, padding, dimension_numbers=_LAYOUT)
    return batch_sharding.shard_map_batch(lambda *arrays: _compiled(*arrays, plan, out), (x,), (kernel,))


def conv_general_dilated(
    lhs: jax.Array,
    rhs: jax.Array,
    window_strides: Sequence[int],
    padding: Padding,
    lhs_dilation: Sequence[int] | None = None,
    rhs_dilation: Sequence[int] | None = None,
    dimension_numbers: Any = None,
    feature_group_count: int = 1,
    batch_group_count: int = 1,
    precision: Any = None,
    preferred_element_type: Any = None,
    out_sharding: Any = None,
    *,
    algorithm: ConvAlgorithm = "auto",
) -> jax.Array:
    """Stands in for `lax.conv_general_dilated`, as in `nnx.Conv(..., conv_general_dilated=conv_general_dilated)`.

    Plain two-dimensional convolutions in `nnx.Conv`'s layout go through `conv2d`. All others go through XLA: dilated or
    grouped ones, and those with a precision, another element type than that of `lhs`, or an output sharding.

    **Arguments:** those of `lax.conv_general_dilated`, and

    - `algorithm`: of plain convolutions, e.g. a run's: `functools.partial(conv_general_dilated,
      algorithm=compute.algorithm)`.
    """
    numbers = lax.conv_dimension_numbers(lhs.shape, rhs.shape, dimension_numbers)
    plain = (
        lhs.ndim == 4
        and numbers == lax.conv_dimension_numbers(lhs.shape, rhs.shape, _LAYOUT)
        and all(d == 1 for d in (*(lhs_dilation or ()), *(rhs_dilation or ())))
        and feature_group_count == batch_group_count == 1
        and precision is None
        and preferred_element_type in (None, lhs.dtype)
        and out_sharding is None
    )
    if plain:
        return conv2d(lhs, rhs, strides=tuple(window_strides), padding=padding, algorithm=algorithm)
    return lax.conv_general_dilated(
        lhs,
        rhs,
        window_strides,
        padding,
        lhs_dilation,
        rhs_dilation,
        dimension_numbers,
        feature_group_count,
        batch_group_count,
        precision,
        preferred_element_type,
        out_sharding,
    )


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _conv(x: jax.Array, kernel: jax.Array, plan: ConvPlan, out: Pair) -> jax.Array:
    return _forward(x, kernel, plan, out)[0]


def _forward(x: jax.Array, kernel: jax.Array, plan: ConvPlan, out: Pair) -> tuple[jax.Array, Any]:
    return plan.forward(x, kernel, lambda elements: crop_or_pad(elements[0], out))


def _backward(plan: ConvPlan, out: Pair, residuals: Any, cotangent: jax.Array) -> tuple[jax.Array, jax.Array]:
    del out
    return plan.backward(residuals, lambda cotangent: crop_or_pad(cotangent, plan.out), cotangent)


_conv.defvjp(_forward, _backward)
# Without `jit`, each call outside of a compiled function would compile the `no_fusion` pieces again.
_compiled = jax.jit(_conv, static_argnums=(2, 3))
