"""Residual networks with pre-activation, in the layout for CIFAR (He et al. 2016, "Identity Mappings in Deep ...").

A convolution of 16 features, three stages of residual blocks, the second and third of which halve the image and double
the features, global average pooling and a dense layer. Wide ones have `width` times the features in their blocks
(Zagoruyko & Komodakis 2016, "Wide Residual Networks", table 1).
"""

from __future__ import annotations

import functools

import jax
from flax import nnx

from fmnist_jax.data import FASHION_MNIST
from fmnist_jax.errors import ConfigError
from fmnist_jax.models.batch_norm import BatchNorm
from fmnist_jax.models.layers import ComputeConfig, plain_conv
from fmnist_jax.models.registry import register

_STEM, _STAGES = 16, (16, 32, 64)  # features

# Of normal distributions with variance 2 / fan_out (He et al. 2015, "Delving Deep into Rectifiers", eq. 14).
_INIT = nnx.initializers.variance_scaling(2.0, "fan_out", "normal")


class Block(nnx.Module):
    """x + conv(relu(norm(conv(relu(norm(x)))))), both 3x3; where the shape changes, x goes through a 1x1 convolution.

    Maps `[batch, height, width, fan_in]` to `[batch, height / stride, width / stride, features]`, rounded up.
    """

    def __init__(self, fan_in: int, features: int, stride: int, *, compute: ComputeConfig, rngs: nnx.Rngs):
        conv = functools.partial(plain_conv, init=_INIT, compute=compute, rngs=rngs)
        self.norm1 = BatchNorm(fan_in, momentum=0.9, dtype=compute.dtype, rngs=rngs)
        self.conv1 = conv(fan_in, features, 3, strides=stride)
        self.norm2 = BatchNorm(features, momentum=0.9, dtype=compute.dtype, rngs=rngs)
        self.conv2 = conv(features, features, 3)
        changes = fan_in != features or stride != 1
        self.shortcut = conv(fan_in, features, 1, strides=stride) if changes else None

    def __call__(self, x: jax.Array) -> jax.Array:
        activated = jax.nn.relu(self.norm1(x))
        shortcut = x if self.shortcut is None else self.shortcut(activated)
        return shortcut + self.conv2(jax.nn.relu(self.norm2(self.conv1(activated))))


class PreActResNet(nnx.Module):
    """Maps images `[batch, height, width, channels]` to logits `[batch, classes]`.

    **Arguments:**

    - `blocks`: residual blocks of each stage; 6 `blocks` + 2 layers in all.
    - `width`: multiplies the features of the stages, 16, 32 and 64.

    **Raises:** `ConfigError` where one of them is less than 1.
    """

    def __init__(
        self,
        *,
        blocks: int = 3,
        width: int = 1,
        compute: ComputeConfig,
        num_classes: int = FASHION_MNIST.num_classes,
        image_shape: tuple[int, int, int] = FASHION_MNIST.image_shape,
        rngs: nnx.Rngs,
    ):
        for name, value in (("blocks", blocks), ("width", width)):
            if value < 1:
                raise ConfigError(f"config.model.options.{name} must be at least 1, not {value}")
        self.stem = plain_conv(image_shape[-1], _STEM, 3, init=_INIT, compute=compute, rngs=rngs)
        made, fan_in = [], _STEM
        for stage, features in enumerate(width * base for base in _STAGES):
            for index in range(blocks):
                stride = 2 if stage and not index else 1
                made.append(Block(fan_in, features, stride, compute=compute, rngs=rngs))
                fan_in = features
        self.blocks = nnx.List(made)
        self.norm = BatchNorm(fan_in, momentum=0.9, dtype=compute.dtype, rngs=rngs)
        self.logits = nnx.Linear(fan_in, num_classes, dtype=compute.dtype, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return self.logits(jax.nn.relu(self.norm(x)).mean((1, 2)))


register("resnet8", "pre-activation ResNet of 8 layers")(functools.partial(PreActResNet, blocks=1))
register("resnet20", "pre-activation ResNet of 20 layers (He et al. 2016)")(functools.partial(PreActResNet, blocks=3))
register("wrn16_4", "WRN-16-4, four times as wide (Zagoruyko & Komodakis 2016)")(
    functools.partial(PreActResNet, blocks=2, width=4)
)
