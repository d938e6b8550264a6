"""The run functions, compiled for the shapes of their arguments, all with the same compiler options."""

from __future__ import annotations

import time
from typing import Any

import jax
from jax.sharding import Sharding
from jax.stages import Compiled

from fmnist_jax.data.device import DeviceSplit
from fmnist_jax.runtime import compiler
from fmnist_jax.train.run import Member, Run, TrainState


class Programs:
    """Compiles each run function when it is first needed, once for each shape of data.

    **Arguments:**

    - `run`: the functions; `state`, `member`: their arguments, or the shapes of them.

    **Attributes:**

    - `seconds`: compile time so far.
    """

    def __init__(self, run: Run, state: TrainState, member: Member):
        self._run, self._state, self._member = run, state, member
        self._compiled: dict[Any, Compiled] = {}
        self.seconds = 0.0

    def init(self) -> Compiled:
        """Returns `init(member) -> state`."""
        return self._compile("init", self._member)

    def epoch(self, train: DeviceSplit) -> Compiled:
        """Returns `epoch(state, member, train) -> (state, sums)`, which donates its state."""
        return self._compile("epoch", self._state, self._member, train, donate_argnums=0)

    def evaluate(self, split: DeviceSplit) -> Compiled:
        """Returns `evaluate(state, split) -> sums`."""
        return self._compile("evaluate", self._state, split)

    def predict(self, images: jax.Array) -> Compiled:
        """Returns `predict(state, images) -> probabilities`."""
        return self._compile("predict", self._state, images)

    def _compile(self, name: str, *arguments: Any, **options: Any) -> Compiled:
        key = name, *(leaf.shape for leaf in jax.tree.leaves(arguments))
        if key not in self._compiled:
            begun = time.perf_counter()
            lowered = jax.jit(getattr(self._run, name), **options).lower(*arguments)
            self._compiled[key] = compiler.compile_lowered(lowered)
            self.seconds += time.perf_counter() - begun
        return self._compiled[key]


def with_sharding(tree: Any, sharding: Sharding) -> Any:
    """Returns the shapes of the arrays of a tree, with that sharding."""
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding), tree)
