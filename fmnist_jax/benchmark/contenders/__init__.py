"""Who takes part: names, and the modules that make them, imported only in their own processes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

Framework = Literal["ours", "flax", "keras", "torch"]


class Entry(NamedTuple):
    """A contender's `module`, whose `make(problem, variant)` returns it, and the `framework` that it stands for."""

    module: str
    variant: str
    framework: Framework
    summary: str


_HERE = "fmnist_jax.benchmark.contenders"

CONTENDERS: Mapping[str, Entry] = {
    "ours": Entry(f"{_HERE}.ours", "", "ours", "fmnist_jax: one jitted epoch"),
    "flax-loop": Entry(f"{_HERE}.stock_flax", "loop", "flax", "stock Flax NNX: a jitted step in a Python loop"),
    "flax-scan": Entry(f"{_HERE}.stock_flax", "scan", "flax", "stock Flax NNX: the step in a lax.scan"),
    "keras": Entry(f"{_HERE}.keras_tensorflow", "", "keras", "Keras on TensorFlow: model.fit"),
    "keras-jit": Entry(f"{_HERE}.keras_tensorflow", "jit", "keras", "Keras on TensorFlow: model.fit, jit_compile"),
    "torch": Entry(f"{_HERE}.pytorch", "", "torch", "PyTorch: eager"),
    "torch-compile": Entry(f"{_HERE}.pytorch", "compile", "torch", "PyTorch: torch.compile"),
    "torch-channels-last": Entry(f"{_HERE}.pytorch", "channels-last", "torch", "PyTorch: eager, channels-last"),
}
# The machine itself: its matrix products and its memory, timed in turn with the others.
MACHINE = Entry(f"{_HERE}.machine", "", "ours", "matrix product and memory bandwidth")
