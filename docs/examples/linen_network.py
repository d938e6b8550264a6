"""A Flax Linen module, through Flax's own bridge.

python scripts/train.py --config=docs/examples/linen_network.py --workdir=runs/linen_network
"""

import jax
from flax import linen as nn
from flax import nnx

from fmnist_jax import default_config, register_model


class Network(nn.Module):
    """Maps images `[batch, height, width, channels]` in [0, 1] to logits `[batch, classes]`."""

    classes: int
    width: int = 16

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        x = nn.Conv(self.width, (3, 3), strides=2)(x)
        x = nn.relu(nn.BatchNorm(use_running_average=not train, momentum=0.9)(x))
        x = nn.Dropout(0.1, deterministic=not train)(x.reshape(x.shape[0], -1))
        return nn.Dense(self.classes)(x)


@register_model("linen_network", "a convolution with batch normalisation, dropout, a dense layer, in Linen")
def linen_network(width: int = 16, *, num_classes: int, rngs: nnx.Rngs) -> nnx.Module:
    """Returns the module; its variables are made when it first sees an image."""
    return nnx.bridge.ToNNX(Network(num_classes, width), rngs=rngs)


def get_config():
    """Returns the config of a run."""
    config = default_config()
    config.model.name = "linen_network"
    config.data.val_examples = 5000
    return config
