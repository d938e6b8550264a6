"""DeepOBS's `fmnist_2c2d`, the standard Fashion-MNIST problem of optimizer benchmarks (Schneider et al. 2019)."""

from __future__ import annotations

import jax
from flax import nnx

from fmnist_jax.models.layers import ComputeConfig, Conv, Initializers, dense
from fmnist_jax.models.registry import register

# TensorFlow's `truncated_normal_initializer(stddev=0.05)`: 0.05 * N(0, 1) truncated at two standard deviations, without
# rescaling afterwards; biases 0.05.
DEEPOBS = Initializers(nnx.initializers.truncated_normal(0.05), nnx.initializers.constant(0.05))


@register("2c2d", "DeepOBS's fmnist_2c2d: 2 conv layers 5x5, dense 1024")
class TwoConvTwoDense(nnx.Module):
    """conv 5x5 32 - pool - conv 5x5 64 - pool - dense 1024 - dense 10, "SAME" padding, no dropout.

    Maps images `[batch, 28, 28, 1]` to logits `[batch, 10]`.

    **Arguments:**

    - `first`: features of the first convolution; the second has twice as many.
    """

    def __init__(self, *, first: int = 32, compute: ComputeConfig, rngs: nnx.Rngs):
        def conv(fan_in: int, features: int) -> Conv:
            return Conv(fan_in, features, 5, pool=True, padding="SAME", init=DEEPOBS, compute=compute, rngs=rngs)

        self.conv1 = conv(1, first)
        self.conv2 = conv(first, 2 * first)
        self.hidden = dense(7 * 7 * 2 * first, 1024, init=DEEPOBS, compute=compute, rngs=rngs)
        self.logits = dense(1024, 10, init=DEEPOBS, compute=compute, rngs=rngs)

    def __call__(self, x: jax.Array, *, train: bool = False, rngs: nnx.Rngs | None = None) -> jax.Array:
        del train, rngs  # Training and evaluation are the same.
        x = self.conv2(self.conv1(x))
        x = jax.nn.relu(self.hidden(x.reshape(x.shape[0], -1)))
        return self.logits(x)
