"""The functions of a run, compiled for the shapes of its state and its data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import jax
from jax.stages import Compiled

from fmnist_jax.data.device import DeviceSplit
from fmnist_jax.train.run import Run
from fmnist_jax.train.state import Member, TrainState


class Programs(NamedTuple):
    """Compiled functions.

    **Attributes:**

    - `epoch(state, member, train) -> (state, counts)`: the state that is passed in is donated.
    - `evaluate[name](state, split) -> counts`, one for each split to be scored.
    """

    epoch: Compiled
    evaluate: Mapping[str, Compiled]


def compile_programs(
    run: Run, state: TrainState, member: Member, train: DeviceSplit, scored: Mapping[str, DeviceSplit]
) -> Programs:
    """Compiles `run` for states and members like those given, arrays or shapes, and for the splits of data."""
    epoch = jax.jit(run.epoch, donate_argnums=0).lower(state, member, train).compile()
    evaluate = jax.jit(run.evaluate)
    return Programs(epoch, {name: evaluate.lower(state, split).compile() for name, split in scored.items()})
