"""A network for training within seconds, after airbench94 (Jordan 2024, "94% on CIFAR-10 in 3.29 Seconds on a GPU").

Fewer and narrower layers than airbench's, for small grey images and for CPUs: no frozen first layer, ReLU instead of
GELU, and the pooling right after the convolution and its ReLU, which is one operation here.
"""

from __future__ import annotations

import jax
from flax import nnx

from fmnist_jax import ops
from fmnist_jax.data import FASHION_MNIST
from fmnist_jax.errors import ConfigError
from fmnist_jax.models.batch_norm import BatchNorm
from fmnist_jax.models.layers import ComputeConfig, Conv, Initializers, plain_conv
from fmnist_jax.models.registry import register

# N(0, 2 / fan_in) (He et al. 2015); the identity plus noise, as in airbench, did no better.
_INIT = Initializers(nnx.initializers.variance_scaling(2.0, "fan_in", "normal"), nnx.initializers.zeros_init())


class SpeedBlock(nnx.Module):
    """conv - bias - ReLU - pool - norm - conv - norm - bias - ReLU, both 3x3; the normalisations do not scale.

    Maps `[batch, height, width, fan_in]` to `[batch, height / 2, width / 2, features]`, rounded down.
    """

    def __init__(self, fan_in: int, features: int, *, compute: ComputeConfig, rngs: nnx.Rngs):
        def norm(use_bias: bool) -> BatchNorm:
            return BatchNorm(features, momentum=0.8, use_scale=False, use_bias=use_bias, dtype=compute.dtype, rngs=rngs)

        self.conv1 = Conv(fan_in, features, 3, pool=True, padding="SAME", init=_INIT, compute=compute, rngs=rngs)
        self.norm1 = norm(use_bias=False)
        self.conv2 = plain_conv(features, features, 3, init=_INIT.kernel, compute=compute, rngs=rngs)
        self.norm2 = norm(use_bias=True)

    def __call__(self, x: jax.Array) -> jax.Array:
        return jax.nn.relu(self.norm2(self.conv2(self.norm1(self.conv1(x)))))


@register("speednet", "3 blocks of 2 conv layers with batch normalisation, after airbench94")
class SpeedNet(nnx.Module):
    """Blocks, global max-pooling, a dense layer. Maps images `[batch, height, width, channels]` to `[batch, classes]`.

    **Arguments:**

    - `widths`: features of each block.

    **Raises:** `ConfigError` where they are not positive integers, or the images are too small for so many blocks.
    """

    def __init__(
        self,
        *,
        widths: tuple[int, ...] = (32, 64, 128),
        compute: ComputeConfig,
        num_classes: int = FASHION_MNIST.num_classes,
        image_shape: tuple[int, int, int] = FASHION_MNIST.image_shape,
        rngs: nnx.Rngs,
    ):
        *size, fan_in = image_shape
        if not isinstance(widths, tuple) or not widths or any(type(n) is not int or n < 1 for n in widths):
            raise ConfigError(f"config.model.options.widths must be positive integers as 32,64,128, not {widths!r}")
        if min(size) < 2 ** len(widths):
            pixels = "x".join(map(str, size))
            raise ConfigError(
                f"config.model.options.widths has {len(widths)} blocks, which each halve the image: too many for "
                f"{pixels} pixels"
            )
        self.blocks = nnx.List(
            [
                SpeedBlock(before, features, compute=compute, rngs=rngs)
                for before, features in zip((fan_in, *widths), widths, strict=False)
            ]
        )
        self.logits = nnx.Linear(widths[-1], num_classes, dtype=compute.dtype, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        for block in self.blocks:
            x = block(x)
        return self.logits(ops.global_max_pool(x))
