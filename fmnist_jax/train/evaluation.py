"""Evaluates a checkpoint of a run: its scores on a split, and its predictions for images."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import jax
import numpy as np
from ml_collections import ConfigDict

from fmnist_jax import data
from fmnist_jax.config.python_file import run_registrations
from fmnist_jax.data import SPLITS, Dataset, Description, device
from fmnist_jax.errors import ConfigError, UnknownNameError, WorkdirError, command, unknown_name
from fmnist_jax.files.atomic import finite, write_json
from fmnist_jax.runtime import devices
from fmnist_jax.train import writers
from fmnist_jax.train.checkpoints import Checkpoint, Checkpoints
from fmnist_jax.train.executor import Programs
from fmnist_jax.train.manifest import recorded_config_file
from fmnist_jax.train.network import TrainState
from fmnist_jax.train.run import Run
from fmnist_jax.train.sharded import DataParallelRun
from fmnist_jax.train.workdir import check_data, described_data, evaluation_path, read_config, read_manifest

_Made = TypeVar("_Made")


class TrainedRun(NamedTuple):
    """A run read from its workdir: its config and data, its functions, compiled ones, and one of its checkpoints."""

    config: ConfigDict
    description: Description
    run: Run
    programs: Programs
    checkpoint: Checkpoint

    def predict(self, images: np.ndarray) -> np.ndarray:
        """Returns class probabilities `float32[n, classes]` for `images`, as in `data.Split`."""
        state = self.checkpoint.state
        on_device = jax.device_put(images, state.step.sharding)
        return np.asarray(self.programs.predict(on_device)(state, on_device))


def load_trained(
    workdir: str | os.PathLike[str], checkpoint: str = "last", config_file: str | os.PathLike[str] | None = None
) -> TrainedRun:
    """Reads a checkpoint of the run in `workdir`.

    **Arguments:**

    - `checkpoint`: `"last"`, `"best"` (the highest validation accuracy) or an epoch. Where the last one is damaged, the
      one before it is taken.
    - `config_file`: is run for what it registers; by default the run's own, if a name in its config is not registered.

    **Raises:** `WorkdirError` where there is no usable checkpoint, `ConfigError` where there is not this one, or a name
    in the config is not registered.
    """
    folder = Path(workdir)
    config = read_config(folder)
    manifest = read_manifest(folder)
    description = described_data(manifest)
    run = _make_run(folder, config, manifest, config_file)
    restored = read_checkpoint(folder, run.template, checkpoint, config)
    return TrainedRun(config, description, run.run, run.programs, restored._replace(state=run.put(restored.state)))


def read_checkpoint(
    folder: Path, template: TrainState | None, which: str, config: ConfigDict, name: str = "--checkpoint"
) -> Checkpoint:
    """Reads a checkpoint of the run in `folder`, whose config is given.

    **Arguments:**

    - `template`: as of `Checkpoints`.
    - `which`: as `checkpoint` of `load_trained`; `name`: what set it, for errors.

    **Raises:** as `load_trained`.
    """
    restored = None
    if (folder / "checkpoints").is_dir():
        with contextlib.closing(Checkpoints(folder / "checkpoints", template)) as checkpoints:
            restored = _restore(checkpoints, which, config, name)
    if restored is None:
        raise WorkdirError(f"{folder} has no checkpoint yet; let {command('train')} finish an epoch first")
    return restored


def evaluate(
    workdir: str | os.PathLike[str],
    split: str,
    checkpoint: str = "last",
    config_file: str | os.PathLike[str] | None = None,
) -> dict[str, Any]:
    """Scores a checkpoint on every example of a split and writes the result to `evaluation_path` in the workdir.

    **Arguments:**

    - `split`: `"train"`, `"val"` or `"test"`.
    - `checkpoint`, `config_file`: as of `load_trained`.

    **Returns:** the summary that is written there.
    """
    if split not in SPLITS:
        raise unknown_name("--split", split, SPLITS)
    folder = Path(workdir)
    trained = load_trained(folder, checkpoint, config_file)
    config = trained.config.copy_and_resolve_references()
    config.data.name = read_manifest(folder)["data"]["name"]  # where it says "auto", the source that was found then
    if os.environ.get("FMNIST_DATA_DIR") and not Path(config.data.dir).exists():
        config.data.dir = ""  # the data have moved: their digests decide
    dataset = _with_registrations(folder, lambda: data.load(config.data))
    check_data(folder, dataset)
    path = evaluation_path(folder, split, checkpoint)
    found = score(trained.programs, trained.checkpoint.state, dataset, split)
    scores = dict(found.scores)
    summary = {
        "split": split,
        **{name: scores.pop(name) for name in ("loss", "accuracy", "examples")},
        **{f"{split}_{name}": value for name, value in scores.items()},
        "checkpoint": checkpoint,
        "checkpoint_epoch": trained.checkpoint.epoch,
        "data": dataset.name,
        "synthetic": dataset.synthetic,
        "validation_is_test": dataset.validation_is_test,
        "model": config.model.name,
        "optimizer": config.optimizer.name,
        "seed": config.seed,
    }
    try:
        write_evaluation(path, found, dataset, split)
        write_json(path / "summary.json", summary)
    except WorkdirError as error:
        print(f"warning: {error}; the evaluation is not kept", file=sys.stderr)
    return dict(finite(summary))


class Evaluation(NamedTuple):
    """A split scored: `loss`, `accuracy`, other metrics and the number of `examples`; and what they are made of.

    **Attributes:**

    - `confusion`: `int32[classes, classes]`; `probabilities`: `float32[n, classes]`.
    """

    scores: dict[str, Any]
    confusion: np.ndarray
    probabilities: np.ndarray


def score(programs: Programs, state: TrainState, dataset: Dataset, split: str) -> Evaluation:
    """Scores a state on every example of a split."""
    on_device = device.put(getattr(dataset, split), state.step.sharding)
    sums = jax.device_get(programs.evaluate(on_device)(state, on_device))
    probabilities = np.asarray(programs.predict(on_device.images)(state, on_device.images))
    return Evaluation({**sums.means(), "examples": int(sums.examples)}, sums.confusion, probabilities)


def write_evaluation(folder: Path, scored: Evaluation, dataset: Dataset, split: str) -> None:
    """Writes the confusion matrix and the predictions of a split; raises `WorkdirError` where it cannot."""
    names = dataset.description.class_names
    writers.write_confusion_matrix(folder / "confusion_matrix.csv", scored.confusion, names)
    writers.write_predictions(folder / "predictions.npz", getattr(dataset, split), scored.probabilities)


def _make_run(
    folder: Path, config: ConfigDict, manifest: Mapping[str, Any], config_file: str | os.PathLike[str] | None
) -> DataParallelRun:
    """Makes the functions of the run; first, its config file registers what it brought."""
    examples, description = manifest["data"]["examples"]["train"], described_data(manifest)
    arguments = config, examples, devices.for_scoring(config), description
    if config_file is not None:
        run_registrations(Path(config_file))
        return DataParallelRun(*arguments)
    return _with_registrations(folder, lambda: DataParallelRun(*arguments))


def _with_registrations(folder: Path, make: Callable[[], _Made]) -> _Made:
    """Returns `make()`; where a name is not registered, after the run's own config file has been run for it."""
    try:
        return make()
    except UnknownNameError as error:
        run_registrations(recorded_config_file(read_manifest(folder), error))
    return make()


def _restore(checkpoints: Checkpoints, which: str, config: ConfigDict, name: str) -> Checkpoint | None:
    epochs = {str(epoch): epoch for epoch in checkpoints.epochs()}
    if which == "last" or not epochs:
        return checkpoints.restore_newest()
    others = f"last or an epoch of {', '.join(epochs)}"
    if which == "best":
        if not config.data.val_examples:
            raise ConfigError(
                f"{name}: best needs a validation split, for nothing may be chosen by the test set; "
                f"train with --config.data.val_examples above 0, or take {others}"
            )
        return checkpoints.restore_best()
    if which not in epochs:
        raise ConfigError(f"{name} must be best, {others}, not {which!r}")
    return checkpoints.restore(epochs[which])
