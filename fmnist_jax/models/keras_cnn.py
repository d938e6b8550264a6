"""The CNNs of the Keras study: two or three convolutions, with or without a dense layer and dropout.

Convolutions are 3x3 without padding, all but the third followed by 2x2 max-pooling; ReLU everywhere; Keras's
initializers. The study did not publish its widths: these come closest to its figures.
"""

from __future__ import annotations

import functools
import math

import jax
from flax import nnx

from fmnist_jax.data import FASHION_MNIST
from fmnist_jax.errors import ConfigError
from fmnist_jax.models.layers import ComputeConfig, Conv, Initializers, dense
from fmnist_jax.models.registry import register

# Keras's defaults: kernels U(-a, a) with a = sqrt(6 / (fan_in + fan_out)) (Glorot & Bengio 2010, eq. 16), biases zero.
KERAS = Initializers(nnx.initializers.glorot_uniform(), nnx.initializers.zeros_init())


class KerasCNN(nnx.Module):
    """Maps images `[batch, height, width, channels]` to logits `[batch, num_classes]`.

    **Arguments:**

    - `third`: features of a third convolution, 0 for none.
    - `hidden`: width of a dense layer before the last one, followed by dropout of one half; 0 for none.
    - `first`: features of the first convolution; the second has twice as many.
    - `image_shape`: height, width and channels.

    **Raises:** `ConfigError` for images smaller than the convolutions.
    """

    def __init__(
        self,
        *,
        third: int,
        hidden: int,
        first: int = 32,
        num_classes: int = FASHION_MNIST.num_classes,
        image_shape: tuple[int, int, int] = FASHION_MNIST.image_shape,
        compute: ComputeConfig,
        rngs: nnx.Rngs,
    ):
        def conv(fan_in: int, features: int, pool: bool) -> Conv:
            return Conv(fan_in, features, 3, pool=pool, padding="VALID", init=KERAS, compute=compute, rngs=rngs)

        *size, channels = image_shape
        self.conv1 = conv(channels, first, pool=True)
        self.conv2 = conv(first, 2 * first, pool=True)
        self.conv3 = conv(2 * first, third, pool=False) if third else None
        flat = math.prod(_size_out(side, third > 0) for side in size) * (third or 2 * first)
        self.hidden = dense(flat, hidden, init=KERAS, compute=compute, rngs=rngs) if hidden else None
        self.dropout = nnx.Dropout(0.5)
        self.logits = dense(hidden or flat, num_classes, init=KERAS, compute=compute, rngs=rngs)

    def __call__(self, x: jax.Array, *, train: bool = False, rngs: nnx.Rngs | None = None) -> jax.Array:
        x = self.conv2(self.conv1(x))
        if self.conv3 is not None:
            x = self.conv3(x)
        x = x.reshape(x.shape[0], -1)
        if self.hidden is not None:
            x = jax.nn.relu(self.hidden(x))
            x = self.dropout(x, deterministic=not train, rngs=rngs)
        return self.logits(x)


def _size_out(size: int, third: bool) -> int:
    """The height or width behind two convolutions, each pooled, and a third one."""
    out = ((size - 2) // 2 - 2) // 2 - 2 * third
    if out < 1:
        raise ConfigError(f"images must be at least {18 if third else 10} pixels high and wide for this network")
    return out


register("model1", "2 conv layers, no dropout (study's model 1)")(functools.partial(KerasCNN, third=0, hidden=0))
register("model2", "2 conv layers, dense 64, dropout (study's model 2)")(
    functools.partial(KerasCNN, third=0, hidden=64)
)
register("model3", "3 conv layers, dense 256, dropout (study's models 3 and 4)")(
    functools.partial(KerasCNN, third=128, hidden=256)
)
