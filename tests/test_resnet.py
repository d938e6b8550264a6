from __future__ import annotations

import jax
import jax.numpy as jnp
import networks
import numpy as np
import pytest
from flax import nnx

from fmnist_jax import models
from fmnist_jax.errors import ConfigError
from fmnist_jax.models.resnet import Block


@pytest.mark.parametrize(
    ("name", "parameters"),
    # He et al. 2016 and Zagoruyko & Komodakis 2016 have 0.27 and 2.7 million.
    [("resnet8", 77_850), ("resnet20", 272_282), ("wrn16_4", 2_748_890)],
)
def test_parameters_for_cifar(name, parameters):
    assert models.count_parameters(networks.params_of(name, networks.CIFAR)) == parameters


@pytest.mark.parametrize("width", [1, 2])
def test_the_width_multiplies_the_features_of_the_blocks(width):
    params = networks.params_of("resnet8", networks.OTHER, width=width)
    assert params["stem"]["kernel"].shape == (3, 3, 3, 16)
    assert params["blocks"][2]["conv2"]["kernel"].shape == (3, 3, 64 * width, 64 * width)
    assert ("shortcut" in params["blocks"][0]) == (width != 1)
    assert params["logits"]["kernel"].shape == (64 * width, 7)


@pytest.mark.parametrize("option", ["blocks", "width"])
def test_an_option_below_one_is_refused(option):
    with pytest.raises(ConfigError, match=rf"config\.model\.options\.{option} must be at least 1, not 0"):
        networks.params_of("resnet8", **{option: 0})


@pytest.mark.parametrize("name", ["resnet8", "resnet20", "wrn16_4"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_logits_for_other_images(name, precision):
    logits = networks.logits_of(name, networks.OTHER, precision)
    assert (logits.shape, logits.dtype) == ((3, 7), precision)


def _activated(x):
    return jax.nn.relu((x - x.mean((0, 1, 2))) / jnp.sqrt(x.var((0, 1, 2)) + 1e-5))


def _convolved(x, layer, stride, pad):
    kernel, layout = layer.kernel[...], ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(x, kernel, (stride, stride), [(pad, pad)] * 2, dimension_numbers=layout)


@pytest.mark.parametrize(("fan_in", "stride"), [(3, 2), (4, 1)])
def test_a_block_is_its_definition(fan_in, stride):
    @jax.jit
    def found_and_expected(x):
        block = Block(fan_in, 4, stride, compute=models.ComputeConfig(algorithm="xla"), rngs=nnx.Rngs(0))
        first = _activated(x)
        inner = _activated(_convolved(first, block.conv1, stride, 1))
        shortcut = x if block.shortcut is None else _convolved(first, block.shortcut, stride, 0)
        return block(x), shortcut + _convolved(inner, block.conv2, 1, 1)

    x = jax.random.normal(jax.random.key(0), (5, 6, 8, fan_in))
    np.testing.assert_allclose(*found_and_expected(x), rtol=1e-4, atol=1e-4)


def test_a_few_steps_lower_the_loss():
    losses = networks.losses("resnet8")
    assert losses[-1] < 0.7 * losses[0]
