"""DeepOBS's `fmnist_2c2d`, the standard Fashion-MNIST problem of optimizer benchmarks (Schneider et al. 2019)."""

from __future__ import annotations

import jax
from flax import nnx

from fmnist_jax.data import FASHION_MNIST
from fmnist_jax.errors import ConfigError
from fmnist_jax.models.layers import ComputeConfig, Conv, Initializers, dense
from fmnist_jax.models.registry import register

# TensorFlow's `truncated_normal_initializer(stddev=0.05)`: 0.05 * N(0, 1) truncated at two standard deviations, without
# rescaling afterwards; biases 0.05.
DEEPOBS = Initializers(nnx.initializers.truncated_normal(0.05), nnx.initializers.constant(0.05))


@register("2c2d", "DeepOBS's fmnist_2c2d: 2 conv layers 5x5, dense 1024")
class TwoConvTwoDense(nnx.Module):
    """conv 5x5 32 - pool - conv 5x5 64 - pool - dense 1024 - dense, "SAME" padding, no dropout.

    Maps images `[batch, height, width, channels]` to logits `[batch, num_classes]`.

    **Arguments:**

    - `first`: features of the first convolution; the second has twice as many.
    - `image_shape`: height, width and channels; height and width are at least 4.
    """

    def __init__(
        self,
        *,
        first: int = 32,
        num_classes: int = FASHION_MNIST.num_classes,
        image_shape: tuple[int, int, int] = FASHION_MNIST.image_shape,
        compute: ComputeConfig,
        rngs: nnx.Rngs,
    ):
        def conv(fan_in: int, features: int) -> Conv:
            return Conv(fan_in, features, 5, pool=True, padding="SAME", init=DEEPOBS, compute=compute, rngs=rngs)

        height, width, channels = image_shape
        if min(height, width) < 4:
            raise ConfigError("images must be at least 4 pixels high and wide for this network")
        self.conv1 = conv(channels, first)
        self.conv2 = conv(first, 2 * first)
        self.hidden = dense((height // 4) * (width // 4) * 2 * first, 1024, init=DEEPOBS, compute=compute, rngs=rngs)
        self.logits = dense(1024, num_classes, init=DEEPOBS, compute=compute, rngs=rngs)

    def __call__(self, x: jax.Array, *, train: bool = False, rngs: nnx.Rngs | None = None) -> jax.Array:
        del train, rngs  # Training and evaluation are the same.
        x = self.conv2(self.conv1(x))
        x = jax.nn.relu(self.hidden(x.reshape(x.shape[0], -1)))
        return self.logits(x)
