"""What training carries from step to step, and what distinguishes one run from another of the same program."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from fmnist_jax import optim


class Member(NamedTuple):
    """One run among those that a compiled program serves: everything that may differ between them.

    **Attributes:**

    - `seed`: `uint32[]`, from which initialisation, data order and dropout derive.
    - `hyperparameters`: name -> `float32[]`, as `optim.resolve` names them.
    """

    seed: jax.Array
    hyperparameters: dict[str, jax.Array]


class TrainState(NamedTuple):
    """Everything that a resumed run needs to go on as if it had never stopped; a pytree of arrays.

    **Attributes:**

    - `step`: `int32[]`, steps done.
    - `rng`: `uint32[2]`, the data of the run's key. It never changes: keys of a step are folded from it and `step`.
    - `params`: trained arrays, nested by module name.
    - `model_state`: the model's other arrays (running batch statistics), nested likewise.
    - `opt_state`: optax's state.
    - `ema`: the moving average of the parameters, `None` where there is none.
    """

    step: jax.Array
    rng: jax.Array
    params: dict[str, Any]
    model_state: dict[str, Any]
    opt_state: Any
    ema: dict[str, Any] | None


def member_of(config: ConfigDict) -> Member:
    """Returns the member that the config describes; raises `ConfigError` for hyperparameters that do not fit."""
    given = {key: value for key, value in config.optimizer.items() if key != "name"}
    numbers = optim.resolve(config.optimizer.name, given)
    return Member(jnp.uint32(config.seed), {key: jnp.float32(value) for key, value in numbers.items()})
