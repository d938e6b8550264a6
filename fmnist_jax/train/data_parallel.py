"""A run alone: each of its batches is spread over devices, its state and its data are on all of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax import lax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from ml_collections import ConfigDict

from fmnist_jax.data import Split, device
from fmnist_jax.data.device import DeviceSplit
from fmnist_jax.runtime import batch_sharding
from fmnist_jax.train.programs import Programs, with_sharding
from fmnist_jax.train.run import Run, make_run, member_of


class DataParallelRun:
    """The run of a config, over `train_examples` images, with each batch spread over `devices`.

    **Attributes:**

    - `run`: its functions, for arrays on these devices.
    - `everywhere`: where its arrays are: whole on each of the devices.
    - `member`: the config's, there.
    - `template`: the shapes of its state, there.
    - `programs`: its compiled functions.

    **Raises:** `ConfigError` as `make_run` and `member_of` do.
    """

    def __init__(self, config: ConfigDict, train_examples: int, devices: Sequence[jax.Device]):
        mesh = Mesh(np.asarray(devices), (batch_sharding.AXIS,), axis_types=(AxisType.Auto,))
        self.everywhere = NamedSharding(mesh, PartitionSpec())
        self.run = _over_batches(make_run(config, train_examples), self.everywhere)
        self.member = self.put(member_of(config))
        self.template = with_sharding(jax.eval_shape(self.run.init, self.member), self.everywhere)
        self.programs = Programs(self.run, self.template, self.member)

    def put(self, tree: Any) -> Any:
        """Returns the arrays of a tree on the devices."""
        return jax.device_put(tree, self.everywhere)

    def put_split(self, split: Split) -> DeviceSplit:
        """Returns the split on the devices."""
        return device.put(split, self.everywhere)


def _over_batches(run: Run, everywhere: NamedSharding) -> Run:
    """Has the functions of a run spread their batches over the mesh, and return what they return everywhere."""

    def spreading(function: Callable[..., Any]) -> Callable[..., Any]:
        def spread(*arguments: Any) -> Any:
            with jax.sharding.use_abstract_mesh(everywhere.mesh.abstract_mesh):
                return lax.with_sharding_constraint(function(*arguments), everywhere)

        return spread

    return dataclasses.replace(
        run,
        init=spreading(run.init),
        epoch=spreading(run.epoch),
        evaluate=spreading(run.evaluate),
        predict=spreading(run.predict),
    )
