from __future__ import annotations

import jax
import jax.numpy as jnp
import networks
import numpy as np
import pytest
from flax import nnx

from fmnist_jax import models
from fmnist_jax.errors import ConfigError
from fmnist_jax.models.speednet import SpeedBlock


def test_parameters_are_those_of_the_kernels_and_biases():
    params = networks.params_of("speednet", networks.OTHER, widths=(4, 6))
    blocks = 9 * (3 * 4 + 4 * 4 + 4 * 6 + 6 * 6) + 2 * (4 + 6)
    assert models.count_parameters(params) == blocks + 6 * 7 + 7


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_logits_for_other_images(precision):
    logits = networks.logits_of("speednet", networks.OTHER, precision)
    assert (logits.shape, logits.dtype) == ((3, 7), precision)


def _normalised(x):
    return (x - x.mean((0, 1, 2))) / jnp.sqrt(x.var((0, 1, 2)) + 1e-5)


def _convolved(x, layer):
    layout = ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(x, layer.kernel[...], (1, 1), "SAME", dimension_numbers=layout)


def test_a_block_is_its_definition():
    bias1, bias2 = jnp.array([0.1, -0.2, 0.3, 0.0]), jnp.array([0.5, 0.0, -0.5, 1.0])

    @jax.jit
    def found_and_expected(x):
        block = SpeedBlock(3, 4, compute=models.ComputeConfig(algorithm="xla"), rngs=nnx.Rngs(0))
        block.conv1.bias[...], block.norm2.bias[...] = bias1, bias2
        rectified = jax.nn.relu(_convolved(x, block.conv1) + bias1)[:, :6]
        pooled = _normalised(rectified.reshape(5, 3, 2, 4, 2, 4).max((2, 4)))
        return block(x), jax.nn.relu(_normalised(_convolved(pooled, block.conv2)) + bias2)

    x = jax.random.normal(jax.random.key(0), (5, 7, 8, 3))
    np.testing.assert_allclose(*found_and_expected(x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("widths", [32, (), (32, 0), (32, "64"), (1.5,)])
def test_wrong_widths_are_refused(widths):
    with pytest.raises(ConfigError, match=r"config\.model\.options\.widths must be positive integers as 32,64,128"):
        networks.params_of("speednet", widths=widths)


def test_too_many_blocks_for_the_images_are_refused():
    with pytest.raises(ConfigError, match=r"widths has 5 blocks, .* too many for 28x28 pixels"):
        networks.params_of("speednet", widths=(4,) * 5)


def test_a_few_steps_lower_the_loss():
    losses = networks.losses("speednet", widths=(8, 8))
    assert losses[-1] < 0.7 * losses[0]
