"""The networks that are timed, each as one list of layers, from which every framework's network is built.

With the arithmetic and the memory that they need. Imports neither JAX nor the rest of the package, so that an
interpreter that has Keras or PyTorch alone can read it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Literal, NamedTuple

IMAGE_SIZE, CLASSES = 28, 10
NORM_EPSILON = 1e-5  # Flax's and PyTorch's default; Keras's is 1e-3


class Conv(NamedTuple):
    """A square convolution, padded by `padding` zeros on every side."""

    features: int
    size: int
    padding: int = 0
    stride: int = 1
    bias: bool = True


class Norm(NamedTuple):
    """Batch normalisation: by the batch's statistics in training, by running ones in evaluation.

    A step of training keeps `momentum` of the running ones, as in Flax and Keras; in PyTorch `momentum` is the rest.
    """

    momentum: float
    scale: bool = True
    bias: bool = True


class Dense(NamedTuple):
    """A dense layer with bias, of a vector."""

    features: int


class Dropout(NamedTuple):
    """Dropout at this rate."""

    rate: float


class Sum(NamedTuple):
    """The sum of two branches; an empty one passes its input on."""

    body: tuple[Layer, ...]
    shortcut: tuple[Layer, ...] = ()


# The pooling `"pool"` is that of maxima of 2x2; `"max"` and `"mean"` pool the whole map to a vector.
Layer = Conv | Norm | Dense | Dropout | Sum | Literal["relu", "pool", "max", "mean", "flatten"]
Layers = tuple[Layer, ...]


class Shape(NamedTuple):
    """Of what a layer takes or gives: height = width (1 of a vector), and features."""

    size: int
    features: int


IMAGE = Shape(IMAGE_SIZE, 1)


def placed(layers: Layers, shape: Shape = IMAGE) -> Iterator[tuple[Layer, Shape]]:
    """Yields each layer with the shape of its input, where `shape` is that of the first."""
    for layer in layers:
        yield layer, shape
        shape = _shape_out(layer, shape)


def _shape_out(layer: Layer, shape: Shape) -> Shape:
    size, features = shape
    match layer:
        case Conv():
            return Shape((size + 2 * layer.padding - layer.size) // layer.stride + 1, layer.features)
        case Dense():
            return Shape(1, layer.features)
        case Sum():
            return functools.reduce(lambda shape, layer: _shape_out(layer, shape), layer.body, shape)
        case "pool":
            return Shape(size // 2, features)
        case "max" | "mean":
            return Shape(1, features)
        case "flatten":
            return Shape(1, size**2 * features)
    return shape


class Cost(NamedTuple):
    """Of a layer.

    **Attributes:**

    - `parameters`: the number of trained ones.
    - `flops`: operations per example, two per multiply-add of the direct convolution or product, without zeros of the
      padding and outputs that pooling discards. Everything else is taken to be free.
    - `outputs`: numbers per example that the backward pass needs, after pooling. What is normalised can be computed
      again from them.
    """

    parameters: int
    flops: int = 0
    outputs: int = 0


def costs(layers: Layers, shape: Shape = IMAGE) -> Iterator[Cost]:
    """Yields the cost of each layer that has any, first to last."""
    for index, (layer, before) in enumerate(placed(layers, shape)):
        match layer:
            case Sum():
                yield from costs(layer.body, before)
                yield from costs(layer.shortcut, before)
            case Norm():
                yield Cost((layer.scale + layer.bias) * before.features)
            case Dense():
                products = before.features * layer.features
                yield Cost(products + layer.features, 2 * products, layer.features)
            case Conv():
                yield _conv_cost(layer, before, pooled=layers[index + 1 : index + 3] == ("relu", "pool"))


def _conv_cost(conv: Conv, before: Shape, pooled: bool) -> Cost:
    size = _shape_out(conv, before).size
    after = size // 2 if pooled else size
    computed = 2 * after if pooled else size
    # Pairs of an output row and a kernel row whose input row is inside the image.
    pairs = ((row, tap) for row in range(computed) for tap in range(conv.size))
    inside = sum(0 <= row * conv.stride + tap - conv.padding < before.size for row, tap in pairs)
    products = before.features * conv.features
    parameters = conv.size**2 * products + conv.bias * conv.features
    return Cost(parameters, 2 * inside**2 * products, after**2 * conv.features)


def _study(first: int, *, third: bool = False, hidden: int = 0) -> Layers:
    """The Keras study's CNNs: a third convolution, and a dense layer of `hidden` with dropout, or none."""
    layers: Layers = (Conv(first, 3), "relu", "pool", Conv(2 * first, 3), "relu", "pool")
    layers += (Conv(4 * first, 3), "relu") if third else ()
    dense: Layers = (Dense(hidden), "relu", Dropout(0.5)) if hidden else ()
    return (*layers, "flatten", *dense, Dense(CLASSES))


def _two_conv_two_dense(first: int) -> Layers:
    convs: Layers = (Conv(first, 5, 2), "relu", "pool", Conv(2 * first, 5, 2), "relu", "pool")
    return (*convs, "flatten", Dense(1024), "relu", Dense(CLASSES))


def _resnet8(first: int) -> Layers:
    """As `fmnist_jax.models.resnet`: `first` features in the first block; the convolution before it always has 16."""
    before, norm = 16, Norm(0.9)
    layers: Layers = (Conv(before, 3, 1, bias=False),)
    for features, stride in ((first, 1), (2 * first, 2), (4 * first, 2)):
        body: Layers = (Conv(features, 3, 1, stride, bias=False), norm, "relu", Conv(features, 3, 1, bias=False))
        if (features, stride) == (before, 1):
            layers += (Sum((norm, "relu", *body)),)
        else:
            layers += (norm, "relu", Sum(body, (Conv(features, 1, 0, stride, bias=False),)))
        before = features
    return (*layers, norm, "relu", "mean", Dense(CLASSES))


def _speednet(first: int) -> Layers:
    """As `fmnist_jax.models.speednet`."""
    layers: Layers = ()
    for features in (first, 2 * first, 4 * first):
        layers += (Conv(features, 3, 1), "relu", "pool", Norm(0.8, scale=False, bias=False))
        layers += (Conv(features, 3, 1, bias=False), Norm(0.8, scale=False), "relu")
    return (*layers, "max", Dense(CLASSES))


# By the name of our network in `fmnist_jax.models`: its layers, from the features of its first convolution.
NETWORKS: Mapping[str, Callable[[int], Layers]] = {
    "model1": _study,
    "model2": functools.partial(_study, hidden=64),
    "model3": functools.partial(_study, third=True, hidden=256),
    "2c2d": _two_conv_two_dense,
    "resnet8": _resnet8,
    "speednet": _speednet,
}
