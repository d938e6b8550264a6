"""The reference networks as numbers, for the contenders that build them anew and for counting their arithmetic."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Literal, NamedTuple

Precision = Literal["", "float32", "tf32", "bfloat16"]
ConvAlgorithm = Literal["auto", "xla", "patches", "winograd", "fourier"]

IMAGE_SIZE = 28
CLASSES = 10


class Conv(NamedTuple):
    """A square convolution of stride 1 with bias and ReLU, 2x2 max-pooling after it where `pool`."""

    features: int
    size: int
    padding: Literal["VALID", "SAME"]
    pool: bool


class ConvLayer(NamedTuple):
    """A convolution in its place: the channels that it takes, and the height (= width) of its input and output."""

    conv: Conv
    fan_in: int
    size_in: int
    size_out: int

    @property
    def computed(self) -> int:
        """Height of the map that has to be computed: without the odd row and column that the pooling drops."""
        return 2 * self.size_out if self.conv.pool else self.size_out


class Dense(NamedTuple):
    """A dense layer."""

    fan_in: int
    features: int


@dataclasses.dataclass(frozen=True)
class Architecture:
    """Convolutions, then a hidden dense layer with ReLU and dropout (`hidden` 0: none), then ten logits."""

    convs: tuple[Conv, ...]
    hidden: int
    dropout: float

    def conv_layers(self) -> list[ConvLayer]:
        """Returns the convolutions in their padded_size, first to last."""
        layers, fan_in, size = [], 1, IMAGE_SIZE
        for conv in self.convs:
            out = size if conv.padding == "SAME" else size - conv.size + 1
            layers.append(ConvLayer(conv, fan_in, size, out // 2 if conv.pool else out))
            fan_in, size = conv.features, layers[-1].size_out
        return layers

    def dense_layers(self) -> list[Dense]:
        """Returns the dense layers, first to last."""
        last = self.conv_layers()[-1]
        flat = last.size_out**2 * last.conv.features
        return [Dense(flat, self.hidden), Dense(self.hidden, CLASSES)] if self.hidden else [Dense(flat, CLASSES)]

    def widened(self, first: int) -> Architecture:
        """Returns it with `first` features in the first convolution, and as many times more or fewer in the others."""
        own = self.convs[0].features
        return dataclasses.replace(
            self, convs=tuple(conv._replace(features=conv.features * first // own) for conv in self.convs)
        )

    def parameters(self) -> int:
        """Returns how many numbers are trained."""
        convs = sum((layer.conv.size**2 * layer.fan_in + 1) * layer.conv.features for layer in self.conv_layers())
        return convs + sum((layer.fan_in + 1) * layer.features for layer in self.dense_layers())


@dataclasses.dataclass(frozen=True)
class Problem:
    """What is timed.

    **Attributes:**

    - `model`: the name of our network in `fmnist_jax.models`; empty where it is not there, but as `architecture` says.
    - `architecture`: the same network, for the others.
    - `optimizer`: `"rmsprop"` or `"adam"`, with the constants of `fmnist_jax.optim`.
    - `precision`: of our products: `"float32"` exact, `"tf32"`, `"bfloat16"`, or empty: float32 as fast as the backend
      does it unasked, as everyone else's.
    - `algorithm`: of our convolutions, as `config.model.conv_algorithm`.
    """

    model: str
    architecture: Architecture
    optimizer: Literal["rmsprop", "adam"]
    batch_size: int
    learning_rate: float = 1e-3
    precision: Precision = ""
    algorithm: ConvAlgorithm = "auto"

    def widened(self, first: int) -> Problem:
        """Returns it with another width of the convolutions; see `Architecture.widened`."""
        return dataclasses.replace(self, model="", architecture=self.architecture.widened(first))


_FIRST_TWO = (Conv(32, 3, "VALID", True), Conv(64, 3, "VALID", True))
_STUDY_3 = Architecture((*_FIRST_TWO, Conv(128, 3, "VALID", False)), hidden=256, dropout=0.5)
_DEEPOBS = Architecture((Conv(32, 5, "SAME", True), Conv(64, 5, "SAME", True)), hidden=1024, dropout=0.0)

PROBLEMS: Mapping[str, Problem] = {
    "model1": Problem("model1", Architecture(_FIRST_TWO, hidden=0, dropout=0.0), "rmsprop", 256),
    "model2": Problem("model2", Architecture(_FIRST_TWO, hidden=64, dropout=0.5), "rmsprop", 256),
    "model3": Problem("model3", _STUDY_3, "rmsprop", 256),
    "model4": Problem("model3", _STUDY_3, "adam", 256),
    "2c2d": Problem("2c2d", _DEEPOBS, "adam", 256, learning_rate=2.5e-4),
}
