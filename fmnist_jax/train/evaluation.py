"""Scoring a trained state on a split, and the files that say how it did."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from ml_collections import ConfigDict

from fmnist_jax import data
from fmnist_jax.data import SPLITS, Split, device
from fmnist_jax.errors import WorkdirError, unknown_name
from fmnist_jax.files.json_files import finite, write_json
from fmnist_jax.runtime import devices
from fmnist_jax.train import writers
from fmnist_jax.train.checkpoints import Checkpoint, Checkpoints
from fmnist_jax.train.data_parallel import DataParallelRun
from fmnist_jax.train.programs import Programs
from fmnist_jax.train.run import TrainState
from fmnist_jax.train.workdir import check_data, read_config, read_manifest


class Trained(NamedTuple):
    """A run read back from its workdir: its config, its compiled functions, and its newest checkpoint."""

    config: ConfigDict
    programs: Programs
    checkpoint: Checkpoint


def load_trained(workdir: str | os.PathLike[str]) -> Trained:
    """Reads the newest checkpoint of the run in `workdir`; raises `WorkdirError` where there is none to use."""
    folder = Path(workdir)
    config = read_config(folder)
    alone = DataParallelRun(config, read_manifest(folder)["data"]["examples"]["train"], devices.for_scoring(config))
    if not (folder / "checkpoints").is_dir():
        raise WorkdirError(f"{folder} has no checkpoint yet; let scripts/train.py finish an epoch first")
    checkpoints = Checkpoints(folder / "checkpoints", alone.template)
    checkpoint = checkpoints.restore_newest()
    checkpoints.close()
    if checkpoint is None:
        raise WorkdirError(f"{folder} has no checkpoint yet; let scripts/train.py finish an epoch first")
    return Trained(config, alone.programs, checkpoint._replace(state=alone.put(checkpoint.state)))


def evaluate(workdir: str | os.PathLike[str], split: str) -> dict[str, Any]:
    """Scores the newest checkpoint on every example of a split and writes `evaluations/<split>/` in the workdir.

    **Arguments:**

    - `split`: `"train"`, `"val"` or `"test"`.

    **Returns:** the summary that is written there.
    """
    if split not in SPLITS:
        raise unknown_name("--split", split, SPLITS)
    folder = Path(workdir)
    trained = load_trained(folder)
    dataset = _dataset_of(folder, trained.config)
    scores = write_evaluation_files(
        folder / "evaluations" / split, trained.programs, trained.checkpoint.state, getattr(dataset, split)
    )
    summary = {
        "split": split,
        **scores,
        "checkpoint_epoch": trained.checkpoint.epoch,
        "data": dataset.name,
        "synthetic": dataset.synthetic,
        "validation_is_test": dataset.validation_is_test,
        "model": trained.config.model.name,
        "optimizer": trained.config.optimizer.name,
        "seed": trained.config.seed,
    }
    write_json(folder / "evaluations" / split / "summary.json", summary)
    return dict(finite(summary))


def predict(workdir: str | os.PathLike[str], images: np.ndarray) -> np.ndarray:
    """Returns class probabilities `float32[n, 10]` for `images`, `uint8[n, 28, 28]`, by the run in `workdir`."""
    trained = load_trained(workdir)
    state = trained.checkpoint.state
    placed = jax.device_put(images, state.step.sharding)
    return np.asarray(trained.programs.predict(placed)(state, placed))


def write_evaluation_files(folder: Path, programs: Programs, state: TrainState, split: Split) -> dict[str, Any]:
    """Writes the confusion matrix and the predictions for `split`; returns its `loss`, `accuracy` and `examples`."""
    on_device = device.put(split, state.step.sharding)
    counts = jax.device_get(programs.evaluate(on_device)(state, on_device))
    probabilities = np.asarray(programs.predict(on_device.images)(state, on_device.images))
    writers.write_confusion_matrix(folder / "confusion_matrix.csv", counts.confusion)
    writers.write_predictions(folder / "predictions.npz", split, probabilities)
    return {**counts.means(), "examples": int(counts.examples)}


def _dataset_of(folder: Path, config: ConfigDict) -> data.Dataset:
    """Loads what the run was trained on: where its config said "auto", what that found then."""
    config = config.copy_and_resolve_references()
    config.data.name = read_manifest(folder)["data"]["name"]
    dataset = data.load(config.data)
    check_data(folder, dataset)
    return dataset
