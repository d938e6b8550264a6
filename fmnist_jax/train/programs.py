"""The functions of a run, compiled for the shapes of its state, its member and its data."""

from __future__ import annotations

import functools
import time
from collections.abc import Iterable, Mapping
from typing import Any

import jax
from jax.sharding import Sharding
from jax.stages import Compiled

from fmnist_jax.data.device import DeviceSplit
from fmnist_jax.runtime import compiler
from fmnist_jax.train.run import Run
from fmnist_jax.train.state import Member, TrainState


class Programs:
    """Compiles each function when it is first asked for.

    **Arguments:**

    - `run`: the functions.
    - `state`, `member`: their arguments, or the shapes of them.
    - `data`: the splits by name, of which `"train"` is trained on.

    **Attributes:**

    - `seconds`: how long it has compiled so far.
    """

    def __init__(self, run: Run, state: TrainState, member: Member, data: Mapping[str, DeviceSplit]):
        self._run, self._state, self._member, self._data = run, state, member, data
        self._evaluate: dict[str, Compiled] = {}
        self.seconds = 0.0

    @functools.cached_property
    def init(self) -> Compiled:
        """`init(member) -> state`."""
        return self._compile(jax.jit(self._run.init), self._member)

    @functools.cached_property
    def epoch(self) -> Compiled:
        """`epoch(state, member, train) -> (state, counts)`; the state that is passed in is donated."""
        epoch = jax.jit(self._run.epoch, donate_argnums=0)
        return self._compile(epoch, self._state, self._member, self._data["train"])

    def evaluate(self, split: str) -> Compiled:
        """Returns `evaluate(state, split) -> counts` for the split of that name."""
        if split not in self._evaluate:
            self._evaluate[split] = self._compile(jax.jit(self._run.evaluate), self._state, self._data[split])
        return self._evaluate[split]

    def prepare(self, splits: Iterable[str]) -> None:
        """Compiles what training needs, and what scoring the splits of these names does."""
        _ = self.epoch, [self.evaluate(split) for split in splits]

    def _compile(self, function: Any, *arguments: Any) -> Compiled:
        begun = time.perf_counter()
        compiled = compiler.compile_lowered(function.lower(*arguments))
        self.seconds += time.perf_counter() - begun
        return compiled


def placed(tree: Any, where: Sharding) -> Any:
    """Returns the shapes of the arrays of a tree, or of the shapes of some, as being at `where`."""
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=where), tree)
