"""Starts a run or a study from the weights of another run, `config.init_from`, and keeps a copy in its own workdir."""

from __future__ import annotations

import os
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import optax
from ml_collections import ConfigDict

from fmnist_jax import optim
from fmnist_jax.config.python_file import run_registrations
from fmnist_jax.data.raw_files import expand_user
from fmnist_jax.errors import ConfigError, UnknownNameError, WorkdirError
from fmnist_jax.files.reader import WorkdirReader
from fmnist_jax.models import by_name
from fmnist_jax.train.claim import INITIAL_WEIGHTS
from fmnist_jax.train.evaluation import read_checkpoint
from fmnist_jax.train.manifest import recorded_config_file
from fmnist_jax.train.network import TrainState
from fmnist_jax.train.run import member_of
from fmnist_jax.train.weights import Fit, Weights, fit, gather, sha256, to_npz
from fmnist_jax.train.workdir import described_data, read_config, read_manifest

_KEY = "config.init_from"


class InitialWeights(NamedTuple):
    """What a run or a study starts from; nothing of it where that is random.

    **Attributes:**

    - `weights`: the arrays; `npz`: the file that holds them.
    - `record`: for the manifest: `workdir`, `checkpoint` and `epoch` that they came from, and the `sha256` of the file.
      Only that where they were read back from the workdir, whose manifest has the rest.
    """

    weights: Weights | None = None
    npz: bytes | None = None
    record: Mapping[str, Any] = types.MappingProxyType({})

    def fits(self, states: Mapping[str, TrainState]) -> dict[str, Fit]:
        """Returns what is loaded into each of the networks, given a state or its shapes by the model's name."""
        if self.weights is None:
            return {}
        return {model: fit(self.weights, state.params, state.model_state) for model, state in states.items()}

    def manifest_entry(self, states: Mapping[str, TrainState]) -> dict[str, Any]:
        """Returns the manifest's entry about these networks; an empty one where there are no weights."""
        networks = {}
        for model, found in self.fits(states).items():
            others = {"re-initialised": [*found.reshaped, *found.missing], "unused": found.unused}
            networks[model] = {"loaded": len(found.loaded)} | {what: names for what, names in others.items() if names}
        return {"init_from": {**self.record, "networks": networks}} if networks else {}


def load_weights(init_from: str, config_file: str | os.PathLike[str] | None = None) -> Weights:
    """Returns the weights that a run was evaluated with: averaged ones if it has some, and its batch statistics.

    **Arguments:**

    - `init_from`: as `config.init_from`: `WORKDIR`, `WORKDIR:best` or `WORKDIR:EPOCH`.
    - `config_file`: of the run to start. It is run again where that of the other run has to be run, for an optimizer
      that it registers, so that names that both of them register stay this one's.

    **Raises:** `ConfigError` where there is no such run or checkpoint.
    """
    return _read(init_from, config_file)[0]


def initial_weights(config: ConfigDict, workdir: Path, config_file: str | os.PathLike[str] | None) -> InitialWeights:
    """Returns what the run or study of the config starts from.

    Read from the other run once, when the workdir is new. Afterwards that run may go.

    **Raises:** `ConfigError` as `load_weights`; `WorkdirError` where the copy in the workdir is damaged.
    """
    if not config.init_from:
        return InitialWeights()
    reader = WorkdirReader(workdir, "restore it or take another --workdir")
    if not (reader.has("config.json") and reader.has(INITIAL_WEIGHTS)):
        weights, source = _read(config.init_from, config_file)
        npz = to_npz(weights)
        return InitialWeights(weights, npz, {**source, "sha256": sha256(npz)})
    weights, npz = reader.arrays(INITIAL_WEIGHTS), (workdir / INITIAL_WEIGHTS).read_bytes()
    return InitialWeights(weights, npz, {"sha256": sha256(npz)})


def print_loaded(config: ConfigDict, fits: Mapping[str, Fit]) -> None:
    """Prints a line for each network about what is loaded into it."""
    for model, found in fits.items():
        print(f"{model} from {config.init_from}: {found.describe()}", flush=True)


def _read(init_from: str, config_file: str | os.PathLike[str] | None) -> tuple[Weights, dict[str, Any]]:
    """Returns the weights of another run, and which run and checkpoint they are of."""
    head, colon, tail = init_from.rpartition(":")
    folder, which = expand_user(init_from), "last"
    if colon and not folder.is_dir():
        folder, which = expand_user(head), tail
    try:
        config = read_config(folder)
        checkpoint = read_checkpoint(folder, None, which, config, f"the checkpoint of {_KEY}")
        params = _evaluated(folder, config, checkpoint.state, config_file)
    except WorkdirError as error:
        raise ConfigError(f"{_KEY}: {error}") from None
    state = checkpoint.state
    weights = gather(params, state.model_state if state.eval_model_state is None else state.eval_model_state)
    if not all(np.isfinite(leaf).all() for leaf in weights.values()):
        raise ConfigError(f"{_KEY}: the weights of {folder} after epoch {checkpoint.epoch} are not finite; take others")
    return weights, {"workdir": str(folder.resolve()), "checkpoint": which, "epoch": checkpoint.epoch}


def _evaluated(
    folder: Path, config: ConfigDict, state: TrainState, config_file: str | os.PathLike[str] | None
) -> dict[str, Any]:
    """Returns the parameters that the run was evaluated with, from a state with flat trees.

    The run's network need not be known: only the optimizer's state has to be put together.
    """
    if state.ema is not None:
        return state.ema
    name = config.optimizer.name
    try:
        optim.get(name)
    except UnknownNameError as error:
        _register(folder, error, config_file)
    classes = described_data(read_manifest(folder)).num_classes
    numbers = member_of(config).hyperparameters
    transformation = optim.build(name, numbers, optax.constant_schedule(1.0), num_classes=classes)
    template = jax.eval_shape(transformation.init, state.params)
    missing = by_name(template).keys() - (state.opt_state or {}).keys()
    if missing:
        raise WorkdirError(f"{folder}: its checkpoint lacks {min(missing)} of the state of the optimizer {name!r}")
    leaves = [state.opt_state[key] for key in by_name(template)]
    params: dict[str, Any] = optim.eval_params(
        name, jax.tree.unflatten(jax.tree.structure(template), leaves), state.params
    )
    return params


def _register(folder: Path, unknown: UnknownNameError, config_file: str | os.PathLike[str] | None) -> None:
    """Runs the config file of the run in `folder`, then that of the run to start: its own names stay its own."""
    try:
        recorded = recorded_config_file(read_manifest(folder), unknown)
    except ConfigError:
        raise ConfigError(
            f"{_KEY}: {unknown}; register it in this run's config file, for the file that the run in {folder} was "
            "started with is gone, has changed or is not known"
        ) from None
    run_registrations(recorded)
    if config_file is not None:
        run_registrations(Path(config_file))
