"""The networks, their loss and gradients, and Keras's optimizers, from their definitions in NumPy float64.

Independent of everything in the package: no JAX, no automatic differentiation, other algorithms.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

Params = dict[str, dict[str, np.ndarray]]


@dataclasses.dataclass(frozen=True)
class Network:
    """Convolutions with ReLU, some with 2x2 max-pooling after them; then dense layers, ReLU between them."""

    convolutions: tuple[tuple[str, bool], ...]
    dense: tuple[str, ...]
    padding: int = 0


MODEL1 = Network((("conv1", True), ("conv2", True)), ("logits",))
MODEL2 = Network((("conv1", True), ("conv2", True)), ("hidden", "logits"))
MODEL3 = Network((("conv1", True), ("conv2", True), ("conv3", False)), ("hidden", "logits"))
TWO_C_TWO_D = Network((("conv1", True), ("conv2", True)), ("hidden", "logits"), padding=2)


def float64(tree: Any) -> Any:
    """Returns nested dicts of arrays as float64."""
    if isinstance(tree, dict):
        return {name: float64(value) for name, value in tree.items()}
    return np.asarray(tree, np.float64)


def convolve(x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    rows, columns = (size - k + 1 for size, k in zip(x.shape[1:3], kernel.shape, strict=False))
    y = np.zeros((x.shape[0], rows, columns, kernel.shape[3]))
    for i in range(kernel.shape[0]):
        for j in range(kernel.shape[1]):
            y += np.einsum("bhwc,cf->bhwf", x[:, i : i + rows, j : j + columns], kernel[i, j])
    return y


def convolve_backward(x: np.ndarray, kernel: np.ndarray, dy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    rows, columns = dy.shape[1:3]
    dx, dkernel = np.zeros_like(x), np.zeros_like(kernel)
    for i in range(kernel.shape[0]):
        for j in range(kernel.shape[1]):
            seen = x[:, i : i + rows, j : j + columns]
            dkernel[i, j] = np.einsum("bhwc,bhwf->cf", seen, dy)
            dx[:, i : i + rows, j : j + columns] += np.einsum("bhwf,cf->bhwc", dy, kernel[i, j])
    return dx, dkernel


def pool(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the maxima of 2x2 windows, an odd last row or column dropped, and where each stood: the first of four."""
    batch, height, width, channels = x.shape
    cut = x[:, : height // 2 * 2, : width // 2 * 2]
    windows = cut.reshape(batch, height // 2, 2, width // 2, 2, channels).transpose(0, 1, 3, 5, 2, 4)
    windows = windows.reshape(*windows.shape[:4], 4)
    return windows.max(axis=-1), windows.argmax(axis=-1)


def pool_backward(shape: tuple[int, ...], where: np.ndarray, dy: np.ndarray) -> np.ndarray:
    dx = np.zeros(shape)
    b, h, w, c = np.indices(where.shape)
    dx[b, 2 * h + where // 2, 2 * w + where % 2, c] = dy
    return dx


def logits(network: Network, params: Params, images: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
    """Returns `[batch, 10]` for `images`, `uint8[batch, 28, 28]`."""
    return _forward(network, params, images, mask)[0]


def softmax(z: np.ndarray) -> np.ndarray:
    exponential = np.exp(z - z.max(axis=1, keepdims=True))
    return exponential / exponential.sum(axis=1, keepdims=True)


def loss_and_gradients(
    network: Network, params: Params, images: np.ndarray, labels: np.ndarray, mask: np.ndarray | None = None
) -> tuple[float, Params]:
    """Returns the mean cross-entropy in nats and its gradients.

    **Arguments:**

    - `mask`: what dropout multiplies the hidden layer's units by, `[batch, units]`; `None` for no dropout.
    """
    z, tape = _forward(network, params, images, mask)
    batch = len(labels)
    probabilities = softmax(z)
    loss = -np.log(probabilities[np.arange(batch), labels]).mean()
    d = (probabilities - np.eye(10)[labels]) / batch
    gradients: Params = {}
    for backward in reversed(tape):
        d = backward(d, gradients)
    return float(loss), gradients


_Backward = Callable[[np.ndarray, Params], np.ndarray]


def _forward(
    network: Network, params: Params, images: np.ndarray, mask: np.ndarray | None
) -> tuple[np.ndarray, list[_Backward]]:
    x = images[..., None] / 255.0
    tape: list[_Backward] = []
    for name, pooled in network.convolutions:
        x, backward = _conv_layer(name, params[name], x, pooled, network.padding)
        tape.append(backward)
    shape = x.shape
    x = x.reshape(len(x), -1)
    tape.append(lambda d, gradients: d.reshape(shape))
    for name in network.dense:
        x, backward = _dense_layer(name, params[name], x, last=name == network.dense[-1], mask=mask)
        tape.append(backward)
    return x, tape


def _conv_layer(
    name: str, layer: dict[str, np.ndarray], x: np.ndarray, pooled: bool, padding: int
) -> tuple[np.ndarray, _Backward]:
    margin = ((0, 0), (padding, padding), (padding, padding), (0, 0))
    x = np.pad(x, margin)
    before = convolve(x, layer["kernel"]) + layer["bias"]
    after = np.maximum(before, 0)
    y, where = pool(after) if pooled else (after, np.zeros(0, int))

    def backward(d: np.ndarray, gradients: Params) -> np.ndarray:
        d = pool_backward(after.shape, where, d) if pooled else d
        d = d * (before > 0)
        dx, dkernel = convolve_backward(x, layer["kernel"], d)
        gradients[name] = {"kernel": dkernel, "bias": d.sum(axis=(0, 1, 2))}
        return dx[:, padding : dx.shape[1] - padding, padding : dx.shape[2] - padding]

    return y, backward


def _dense_layer(
    name: str, layer: dict[str, np.ndarray], x: np.ndarray, *, last: bool, mask: np.ndarray | None
) -> tuple[np.ndarray, _Backward]:
    before = x @ layer["kernel"] + layer["bias"]
    factor = np.ones_like(before) if last else (before > 0) * (1.0 if mask is None else mask)

    def backward(d: np.ndarray, gradients: Params) -> np.ndarray:
        d = d * factor
        gradients[name] = {"kernel": x.T @ d, "bias": d.sum(axis=0)}
        return d @ layer["kernel"].T

    return before * factor, backward


class RMSprop:
    """Keras's: v = decay v + (1 - decay) g^2; w -= rate g / sqrt(v + eps)."""

    def __init__(self, learning_rate: float, decay: float, eps: float):
        self.rate, self.decay, self.eps = learning_rate, decay, eps
        self.v: Any = 0.0

    def step(self, params: Params, gradients: Params) -> Params:
        self.v = _map(lambda v, g: self.decay * v + (1 - self.decay) * g**2, _like(self.v, gradients), gradients)
        return _map(lambda w, g, v: w - self.rate * g / np.sqrt(v + self.eps), params, gradients, self.v)


class Adam:
    """Keras's: w -= rate sqrt(1 - b2^t) / (1 - b1^t) m / (sqrt(v) + eps)."""

    def __init__(self, learning_rate: float, b1: float, b2: float, eps: float):
        self.rate, self.b1, self.b2, self.eps, self.t = learning_rate, b1, b2, eps, 0
        self.m: Any = 0.0
        self.v: Any = 0.0

    def step(self, params: Params, gradients: Params) -> Params:
        self.t += 1
        self.m = _map(lambda m, g: self.b1 * m + (1 - self.b1) * g, _like(self.m, gradients), gradients)
        self.v = _map(lambda v, g: self.b2 * v + (1 - self.b2) * g**2, _like(self.v, gradients), gradients)
        rate = self.rate * np.sqrt(1 - self.b2**self.t) / (1 - self.b1**self.t)
        return _map(lambda w, m, v: w - rate * m / (np.sqrt(v) + self.eps), params, self.m, self.v)


def _map(function: Callable[..., np.ndarray], *trees: Any) -> Any:
    first, *others = trees
    if isinstance(first, dict):
        return {name: _map(function, *(tree[name] for tree in trees)) for name in first}
    return function(first, *others)


def _like(tree: Any, other: Params) -> Any:
    return tree if isinstance(tree, dict) else _map(lambda leaf: np.full_like(leaf, tree), other)
