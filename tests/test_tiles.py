"""Tiles of images and their transforms: values by a plain loop, gradients as transposes."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fmnist_jax.ops.tiles import forward_transform, inverse_transform
from fmnist_jax.ops.winograd import WinogradPlan

# Pixels and coefficients of a tile, stride, count, down and across: one tile only; side by side; tiles
# that overlap with one, with several, and with more tiles than there are.
LAYOUTS = [
    ((1, 1), (1, 1), (1, 1), (1, 1)),
    ((2, 3), (2, 4), (2, 3), (3, 1)),
    ((4, 6), (4, 5), (2, 4), (3, 2)),
    ((5, 7), (3, 7), (1, 3), (4, 2)),
    ((5, 4), (5, 4), (1, 2), (2, 1)),
]


def _drawn(pixels, coefficients, steps, count):
    rng = np.random.default_rng(0)
    weights = [rng.normal(size=(m, n)) for m, n in zip(coefficients, pixels, strict=True)]
    size = [step * (n - 1) + long for step, n, long in zip(steps, count, pixels, strict=True)]
    return weights, rng.normal(size=(2, *size, 3)).astype(np.float32), rng


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_each_tile_is_transformed_along_both_axes(layout):
    pixels, coefficients, steps, count = layout
    (above, beside), x, _ = _drawn(*layout)
    found = forward_transform(jnp.asarray(x), (above, beside), steps, count)
    assert found.dtype == jnp.float32
    found = found.reshape(*coefficients, 2, *count, 3)
    for i, j in np.ndindex(*count):
        tile = x[:, i * steps[0] : i * steps[0] + pixels[0], j * steps[1] : j * steps[1] + pixels[1]]
        expected = np.einsum("pa,qb,nabc->pqnc", above, beside, tile)
        np.testing.assert_allclose(found[:, :, :, i, j], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_the_inverse_transform_is_the_transpose_of_the_forward_transform(layout):
    _, _, steps, count = layout
    weights, x, rng = _drawn(*layout)
    apart = np.asarray(forward_transform(jnp.asarray(x), weights, steps, count), np.float64)
    cotangent = rng.normal(size=apart.shape).astype(np.float32)
    image = np.asarray(
        inverse_transform(jnp.asarray(cotangent), [matrix.T for matrix in weights], steps, count), np.float64
    )
    assert [n % step for n, step in zip(image.shape[1:3], steps, strict=True)] == [0, 0]
    height, width = x.shape[1:3]
    np.testing.assert_allclose((image[:, :height, :width] * x).sum(), (apart * cotangent).sum(), rtol=1e-5, atol=1e-3)
    # What no tile reaches.
    assert not image[:, height:].any()
    assert not image[:, :, width:].any()


@pytest.mark.parametrize(
    ("out", "taps", "pool"), [((6, 1), (5, 5), 1), ((3, 4), (2, 1), 1), ((2, 9), (3, 5), 2), ((7, 2), (1, 3), 2)]
)
def test_gradients_of_a_winograd_plan_are_transposes(out, taps, pool):
    plan = WinogradPlan.of(out, taps, pool=pool)
    batch, channels = 2, 3
    images, outputs = ((batch, *size, channels) for size in (plan.size, plan.out))
    rows = (np.prod(plan.input_tile), batch * np.prod(plan.count), channels)
    kernel, coefficients = (*taps, channels, 4), (np.prod(plan.input_tile), channels, 4)
    pairs = [
        (plan.transform_input, images, plan.input_gradient, rows),
        (plan.transform_output, rows, plan.output_gradient, outputs),
        (lambda kernel: plan.transform_kernel(kernel).kernel, kernel, plan.kernel_gradient, coefficients),
    ]
    for function, shape, gradient, cotangent_shape in pairs:
        cotangent = jax.random.normal(jax.random.key(0), cotangent_shape)
        transpose = jax.jit(jax.linear_transpose(function, jax.ShapeDtypeStruct(shape, jnp.float32)))
        np.testing.assert_allclose(jax.jit(gradient)(cotangent), *transpose(cotangent), rtol=1e-4, atol=1e-4)
