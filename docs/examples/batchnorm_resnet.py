"""A small residual network, written as Flax's documentation writes modules: BatchNorm and Dropout keep their own state.

    python scripts/train.py --config=docs/examples/batchnorm_resnet.py --workdir=runs/batchnorm_resnet

Its constructor's arguments are options: `--config.model.options.width=32`.
"""

import jax
from flax import nnx

from fmnist_jax import default_config, register_model


class Block(nnx.Module):
    """Two convolutions around which the input is added: `[batch, height, width, features]` to the same shape."""

    def __init__(self, features: int, *, rngs: nnx.Rngs):
        self.norm1 = nnx.BatchNorm(features, momentum=0.9, rngs=rngs)
        self.conv1 = nnx.Conv(features, features, (3, 3), use_bias=False, rngs=rngs)
        self.norm2 = nnx.BatchNorm(features, momentum=0.9, rngs=rngs)
        self.conv2 = nnx.Conv(features, features, (3, 3), use_bias=False, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        y = self.conv1(nnx.relu(self.norm1(x)))
        return x + self.conv2(nnx.relu(self.norm2(y)))


@register_model("batchnorm_resnet", "a stem and residual blocks, dropout before the last layer")
class ResNet(nnx.Module):
    """Maps images `[batch, height, width, channels]` in [0, 1] to logits `[batch, num_classes]`."""

    def __init__(
        self, width: int = 16, blocks: int = 2, *, num_classes: int, image_shape: tuple[int, int, int], rngs: nnx.Rngs
    ):
        self.stem = nnx.Conv(image_shape[-1], width, (3, 3), strides=2, rngs=rngs)
        self.blocks = nnx.List([Block(width, rngs=rngs) for _ in range(blocks)])
        self.dropout = nnx.Dropout(0.1, rngs=rngs)
        self.logits = nnx.Linear(width, num_classes, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return self.logits(self.dropout(x.mean(axis=(1, 2))))


def get_config():
    """Returns the config of a run."""
    config = default_config()
    config.model.name = "batchnorm_resnet"
    config.optimizer.name = "adam"
    config.data.val_examples = 5000
    return config
