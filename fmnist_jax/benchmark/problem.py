"""What is timed: the reference networks as numbers, with the arithmetic and the memory traffic that they need.

Imports neither JAX nor the rest of the package, so that an interpreter that has Keras or PyTorch alone can read it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Literal, NamedTuple

Precision = Literal["", "float32", "tf32", "bfloat16"]

IMAGE_SIZE, CLASSES = 28, 10
TRAIN_EXAMPLES, TEST_EXAMPLES = 60_000, 10_000
EVAL_BATCH = 500  # images in a batch of evaluation, for every candidate


class Conv(NamedTuple):
    """A square convolution of stride 1 with bias and ReLU, 2x2 max-pooling after it where `pool`."""

    features: int
    size: int
    padding: Literal["VALID", "SAME"] = "VALID"
    pool: bool = False


class Layer(NamedTuple):
    """A convolution in its place; a dense layer is one of size 1 on a map of one pixel.

    **Attributes:**

    - `conv`: the convolution; `fan_in`: its input channels.
    - `size_in`, `size_out`: height (= width) of its input, and of its output after pooling.
    """

    conv: Conv
    fan_in: int
    size_in: int = 1
    size_out: int = 1

    def flops(self) -> int:
        """Operations per example, without zeros of the padding and outputs that pooling discards."""
        computed = 2 * self.size_out if self.conv.pool else self.size_out
        before = (self.conv.size - 1) // 2 if self.conv.padding == "SAME" else 0
        # Pairs of an output row and a kernel row whose input row is inside the image.
        pairs = ((row, tap) for row in range(computed) for tap in range(self.conv.size))
        inside = sum(0 <= row + tap - before < self.size_in for row, tap in pairs)
        return 2 * inside**2 * self.fan_in * self.conv.features


@dataclasses.dataclass(frozen=True)
class Architecture:
    """Convolutions, then a hidden dense layer with ReLU and dropout (`hidden` 0: none), then ten logits.

    Arithmetic is that of direct convolutions and dense layers, two operations per multiply-add; everything else is
    taken to be free.
    """

    convs: tuple[Conv, ...]
    hidden: int
    dropout: float

    def conv_layers(self) -> list[Layer]:
        """Returns the convolutions, first to last."""
        layers, fan_in, size = [], 1, IMAGE_SIZE
        for conv in self.convs:
            out = size if conv.padding == "SAME" else size - conv.size + 1
            layers.append(Layer(conv, fan_in, size, out // 2 if conv.pool else out))
            fan_in, size = conv.features, layers[-1].size_out
        return layers

    def dense_layers(self) -> list[Layer]:
        """Returns the dense layers, first to last."""
        last = self.conv_layers()[-1]
        flat = last.size_out**2 * last.conv.features
        hidden = [Layer(Conv(self.hidden, 1), flat)] if self.hidden else []
        return [*hidden, Layer(Conv(CLASSES, 1), self.hidden or flat)]

    def layers(self) -> list[Layer]:
        """Returns all layers, first to last."""
        return self.conv_layers() + self.dense_layers()

    def parameters(self) -> int:
        """Returns the number of trained parameters."""
        return sum((layer.conv.size**2 * layer.fan_in + 1) * layer.conv.features for layer in self.layers())

    def flops(self, task: str) -> int:
        """Returns the floating-point operations per example of a step of `"train"` or `"evaluate"`.

        In training each layer takes as many again for the gradient of its kernel, and for that of its input, which
        the first layer does not need.
        """
        layers = [layer.flops() for layer in self.layers()]
        return 3 * sum(layers) - layers[0] if task == "train" else sum(layers)


@dataclasses.dataclass(frozen=True)
class Problem:
    """What a candidate trains and evaluates; plain values, so that it travels as JSON.

    **Attributes:**

    - `network`: a name in `NETWORKS`, and of our network in `fmnist_jax.models`.
    - `optimizer`: `"rmsprop"` or `"adam"`, with the constants of `fmnist_jax.optim`.
    - `channels`: of the first convolution, the others in proportion; 0 for the network's own.
    - `precision`: of our matrix products: `"float32"`, `"tf32"`, `"bfloat16"`, or `""` for float32 at the backend's
      default, which every other candidate uses.
    - `algorithm`: of our convolutions, as `config.model.conv_algorithm`.
    """

    network: str
    optimizer: Literal["rmsprop", "adam"]
    batch_size: int = 256
    learning_rate: float = 1e-3
    channels: int = 0
    precision: Precision = ""
    algorithm: str = "auto"

    @property
    def architecture(self) -> Architecture:
        """The network in its width."""
        network = NETWORKS[self.network]
        own = network.convs[0].features
        first = self.channels or own
        convs = tuple(conv._replace(features=conv.features * first // own) for conv in network.convs)
        return dataclasses.replace(network, convs=convs)

    def traffic(self, task: str) -> float:
        """Returns the least memory traffic in bytes per example of a step of `"train"` or `"evaluate"`.

        Evaluation reads the image and the parameters. Training also writes and reads the output of each layer, which
        the backward pass needs, and reads and writes the parameters and the optimizer's state. A float takes 4 bytes.
        """
        architecture = self.architecture
        if task == "evaluate":
            return IMAGE_SIZE**2 + 4 * architecture.parameters() / EVAL_BATCH
        outputs = sum(layer.size_out**2 * layer.conv.features for layer in architecture.layers())
        updated = {"rmsprop": 2, "adam": 3}[self.optimizer] * architecture.parameters()  # with the optimizer's state
        return IMAGE_SIZE**2 + 2 * 4 * (outputs + updated / self.batch_size)


_CONV32, _CONV64 = Conv(32, 3, pool=True), Conv(64, 3, pool=True)
NETWORKS: Mapping[str, Architecture] = {
    "model1": Architecture((_CONV32, _CONV64), hidden=0, dropout=0.0),
    "model2": Architecture((_CONV32, _CONV64), hidden=64, dropout=0.5),
    "model3": Architecture((_CONV32, _CONV64, Conv(128, 3)), hidden=256, dropout=0.5),
    "2c2d": Architecture((Conv(32, 5, "SAME", pool=True), Conv(64, 5, "SAME", pool=True)), hidden=1024, dropout=0.0),
}
PROBLEMS: Mapping[str, Problem] = {
    "model1": Problem("model1", "rmsprop"),
    "model2": Problem("model2", "rmsprop"),
    "model3": Problem("model3", "rmsprop"),
    "model4": Problem("model3", "adam"),
    "2c2d": Problem("2c2d", "adam", learning_rate=2.5e-4),
}
