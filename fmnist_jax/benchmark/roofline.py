"""The arithmetic and the memory traffic that a network cannot do without, and the speed that they allow.

Source: Williams, Waterman & Patterson, "Roofline: an insightful visual performance model for multicore architectures",
CACM 2009. Counted are the products of convolutions and dense layers, two operations for a multiplication with its
addition: no recomputation, no zeros of the padding, no outputs that the pooling drops. Everything else is taken to be
free, which no program reaches.
"""

from __future__ import annotations

from fmnist_jax.benchmark.architecture import IMAGE_SIZE, Architecture, ConvLayer, Problem

_FLOAT = 4
# Arrays as large as the parameters that an optimizer keeps.
_SLOTS = {"rmsprop": 1, "adam": 2}


def evaluation_flops(architecture: Architecture) -> int:
    """Returns the floating-point operations of the forward pass of one example."""
    return sum(_layers(architecture))


def training_flops(architecture: Architecture) -> int:
    """Returns the floating-point operations of a training step, per example.

    Each layer takes as many again for the gradient of its kernel, and for that of its input, which the first layer
    does without.
    """
    layers = _layers(architecture)
    return 3 * sum(layers) - layers[0]


def evaluation_bytes(problem: Problem, batch_size: int) -> float:
    """Returns the least memory traffic of an evaluation step, per example: the image in, the parameters in."""
    return IMAGE_SIZE**2 + _FLOAT * problem.architecture.parameters() / batch_size


def training_bytes(problem: Problem) -> float:
    """Returns the least memory traffic of a training step, per example.

    The image in; the output of each layer, which the backward pass needs, out and in; the parameters and the
    optimizer's state in and out.
    """
    architecture = problem.architecture
    outputs = sum(layer.size_out**2 * layer.conv.features for layer in architecture.conv_layers())
    outputs += sum(layer.features for layer in architecture.dense_layers())
    updated = (1 + _SLOTS[problem.optimizer]) * architecture.parameters()
    return IMAGE_SIZE**2 + 2 * _FLOAT * (outputs + updated / problem.batch_size)


def ceiling(flops: float, traffic: float, flop_rate: float, bandwidth: float) -> float:
    """Returns the examples a second that the machine allows.

    **Arguments:**

    - `flops`, `traffic`: operations and bytes per example.
    - `flop_rate`, `bandwidth`: the machine's, per second.
    """
    return min(flop_rate / flops, bandwidth / traffic)


def _layers(architecture: Architecture) -> list[int]:
    convs = [2 * _taps(layer) ** 2 * layer.fan_in * layer.conv.features for layer in architecture.conv_layers()]
    return convs + [2 * layer.fan_in * layer.features for layer in architecture.dense_layers()]


def _taps(layer: ConvLayer) -> int:
    """How many pairs of a kernel's row and an output's row there are whose input's row is not of the padding."""
    before = (layer.conv.size - 1) // 2 if layer.conv.padding == "SAME" else 0
    pairs = ((out, tap) for out in range(layer.computed) for tap in range(layer.conv.size))
    return sum(0 <= out + tap - before < layer.size_in for out, tap in pairs)
