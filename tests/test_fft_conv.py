"""FFT convolution: products of spectra are convolutions, gradients are transposes."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from fmnist_jax.ops.fft_conv import FFTConvPlan

sides = st.integers(1, 7)
axes = st.tuples(sides, st.integers(-2, 5), sides, sides)


def _plan(down, across):
    return FFTConvPlan(*((vertical, horizontal) for vertical, horizontal in zip(down, across, strict=True)))


def _plain(plan, x, kernel):
    """Convolves by definition, zeros wherever a tap reaches beyond the image."""
    y = np.zeros((x.shape[0], *plan.out, kernel.shape[-1]))
    for i, j in np.ndindex(*plan.out):
        for a, b in np.ndindex(*plan.taps):
            row, column = i + a - plan.before[0], j + b - plan.before[1]
            if 0 <= row < x.shape[1] and 0 <= column < x.shape[2]:
                y[:, i, j] += x[:, row, column] @ kernel[a, b]
    return y


# Each of other shapes, so that each is compiled.
@settings(max_examples=15, deadline=None)
@given(axes, axes)
def test_products_of_spectra_are_convolutions(down, across):
    plan = _plan(down, across)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, *plan.size, 3)).astype(np.float32)
    kernel = rng.normal(size=(*plan.taps, 3, 2)).astype(np.float32)
    found = jax.jit(lambda x, kernel: plan.transform_output(plan.transform_input(x) @ plan.transform_kernel(kernel)))(
        x, kernel
    )
    np.testing.assert_allclose(found, _plain(plan, x, kernel), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("down", "across"),
    [((14, 2, 5, 14), (13, 0, 3, 10)), ((1, 0, 1, 1), (2, 0, 1, 2)), ((5, 1, 2, 3), (4, -1, 3, 1))],
    ids=str,
)
def test_gradients_of_a_spectrum_are_transposes(down, across):
    plan = _plan(down, across)
    batch, channels = 2, 3
    frequencies = -(-np.prod(plan.period) // 2)
    spectrum, matrices = (frequencies, batch, 2 * channels), (frequencies, 2 * channels, 2 * 4)
    pairs = [
        (plan.transform_input, (batch, *plan.size, channels), plan.input_gradient, spectrum),
        (plan.transform_output, spectrum, plan.output_gradient, (batch, *plan.out, channels)),
        (plan.transform_kernel, (*plan.taps, channels, 4), plan.kernel_gradient, matrices),
    ]
    for function, shape, gradient, cotangent_shape in pairs:
        cotangent = jax.random.normal(jax.random.key(0), cotangent_shape)
        transpose = jax.jit(jax.linear_transpose(function, jax.ShapeDtypeStruct(shape, jnp.float32)))
        np.testing.assert_allclose(jax.jit(gradient)(cotangent), *transpose(cotangent), rtol=1e-4, atol=1e-4)


def test_the_period_counts_the_zeros_between_images_once():
    assert _plan((14, 2, 5, 14), (13, 0, 3, 10)).period == (16, 12)


@given(axes)
def test_a_period_is_no_longer_than_the_image_with_its_zeros(axis):
    size, before, taps, out = axis
    plan = _plan(axis, axis)
    assume(plan.used[0] == out + taps - 1 - before)
    assert plan.used[0] <= plan.period[0] <= max(size, out + taps - 1 - before) + max(before, 0)
