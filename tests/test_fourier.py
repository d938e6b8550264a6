"""Spectra of images: products of them are convolutions, gradients are transposes."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from fmnist_jax.ops.fourier import Spectrum

sides = st.integers(1, 7)
axes = st.tuples(sides, st.integers(-2, 5), sides, sides)


def _spectrum(down, across):
    return Spectrum(*((vertical, horizontal) for vertical, horizontal in zip(down, across, strict=True)))


def _plain(spectrum, x, kernel):
    """Convolves by definition, zeros wherever a tap reaches beyond the image."""
    y = np.zeros((x.shape[0], *spectrum.out, kernel.shape[-1]))
    for i, j in np.ndindex(*spectrum.out):
        for a, b in np.ndindex(*spectrum.taps):
            row, column = i + a - spectrum.before[0], j + b - spectrum.before[1]
            if 0 <= row < x.shape[1] and 0 <= column < x.shape[2]:
                y[:, i, j] += x[:, row, column] @ kernel[a, b]
    return y


# Each of other shapes, so that each is compiled.
@settings(max_examples=15, deadline=None)
@given(axes, axes)
def test_products_of_spectra_are_convolutions(down, across):
    spectrum = _spectrum(down, across)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, *spectrum.size, 3)).astype(np.float32)
    kernel = rng.normal(size=(*spectrum.taps, 3, 2)).astype(np.float32)
    found = jax.jit(lambda x, kernel: spectrum.outputs(spectrum.inputs(x) @ spectrum.kernel(kernel)))(x, kernel)
    np.testing.assert_allclose(found, _plain(spectrum, x, kernel), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("down", "across"),
    [((14, 2, 5, 14), (13, 0, 3, 10)), ((1, 0, 1, 1), (2, 0, 1, 2)), ((5, 1, 2, 3), (4, -1, 3, 1))],
    ids=str,
)
def test_gradients_of_a_spectrum_are_transposes(down, across):
    spectrum = _spectrum(down, across)
    batch, channels = 2, 3
    padded_size = -(-np.prod(spectrum.period) // 2)
    numbers, matrices = (padded_size, batch, 2 * channels), (padded_size, 2 * channels, 2 * 4)
    pairs = [
        (spectrum.inputs, (batch, *spectrum.size, channels), spectrum.input_gradient, numbers),
        (spectrum.outputs, numbers, spectrum.output_gradient, (batch, *spectrum.out, channels)),
        (spectrum.kernel, (*spectrum.taps, channels, 4), spectrum.kernel_gradient, matrices),
    ]
    for function, shape, gradient, cotangent_shape in pairs:
        cotangent = jax.random.normal(jax.random.key(0), cotangent_shape)
        transpose = jax.jit(jax.linear_transpose(function, jax.ShapeDtypeStruct(shape, jnp.float32)))
        np.testing.assert_allclose(jax.jit(gradient)(cotangent), *transpose(cotangent), rtol=1e-4, atol=1e-4)


def test_zeros_around_an_image_are_shared_with_the_next():
    assert _spectrum((14, 2, 5, 14), (13, 0, 3, 10)).period == (16, 12)


@given(axes)
def test_a_period_is_no_longer_than_the_image_with_its_zeros(axis):
    size, before, taps, out = axis
    spectrum = _spectrum(axis, axis)
    assume(spectrum.used[0] == out + taps - 1 - before)
    assert spectrum.used[0] <= spectrum.period[0] <= max(size, out + taps - 1 - before) + max(before, 0)
