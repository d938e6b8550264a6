"""Reads what a workdir says of its run or study: the config, the manifest and the data; where evaluations lie."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from fmnist_jax.config import schema as config_schema
from fmnist_jax.config.schema import SCHEMA, Schema, WrongScriptError
from fmnist_jax.data import FASHION_MNIST, Dataset, Description
from fmnist_jax.errors import ConfigError, DataError, WorkdirError, command
from fmnist_jax.files.reader import WorkdirReader


def read_config(workdir: Path, schema: Schema = SCHEMA) -> ConfigDict:
    """Returns the config of the run or study in `workdir`; raises `WorkdirError` where it is missing or damaged."""
    reader = reader_of(workdir)
    try:
        return config_schema.from_dict(reader.object("config.json"), schema)
    except WrongScriptError as error:
        raise WorkdirError(
            f"{workdir / 'config.json'} is not for this script: {error}, or take another workdir"
        ) from None
    except ConfigError as error:
        raise reader.error("config.json", f"is not a valid config ({error})") from None


def read_manifest(workdir: Path) -> dict[str, Any]:
    """Returns the manifest of the run in `workdir`; raises `WorkdirError` where it is missing or damaged."""
    reader = reader_of(workdir)
    found = reader.object("manifest.json")
    try:
        described_data(found), found["data"]["name"], found["data"]["digests"], found["data"]["examples"]["train"]
    except (KeyError, TypeError, ValueError):
        raise reader.error("manifest.json", "does not describe the data of a run") from None
    return found


def described_data(manifest: Mapping[str, Any]) -> Description:
    """Returns the description of a run's data; a manifest without it is older, and its data are like Fashion-MNIST.

    **Raises:** `ValueError` where the record is damaged.
    """
    found = manifest.get("data", {})
    if not isinstance(found, Mapping):
        raise ValueError("data is not an object")
    values = {key: found.get(key, default) for key, default in vars(FASHION_MNIST).items()}
    names, shape, margin = values["class_names"], values["image_shape"], values["margin"]
    if not (isinstance(names, list | tuple) and names and all(isinstance(name, str) for name in names)):
        raise ValueError("class_names are not strings")
    if not (isinstance(shape, list | tuple) and len(shape) == 3 and all(type(size) is int for size in shape)):
        raise ValueError("image_shape is not height, width and channels")
    if not (margin is None or type(margin) is int):
        raise ValueError("margin is not an integer")
    return Description(str(values["name"]), tuple(names), (shape[0], shape[1], shape[2]), margin)


def reader_of(workdir: Path) -> WorkdirReader:
    """Returns the reader of a used workdir; raises `WorkdirError` where it is not one."""
    reader = WorkdirReader(workdir, "restore it or take another workdir")
    if not reader.has("config.json"):
        raise WorkdirError(f"{workdir} holds no run (no config.json); train one: {command('train')} --workdir=...")
    return reader


def evaluation_path(workdir: Path, split: str, checkpoint: str = "last") -> Path:
    """Returns the folder of the evaluation of a checkpoint, `"last"`, `"best"` or an epoch, on a split.

    It is `evaluations/<split>` for the last one, else `evaluations/<split>-best` or e.g. `evaluations/<split>-epoch3`.
    """
    suffix = "" if checkpoint == "last" else "-best" if checkpoint == "best" else f"-epoch{checkpoint}"
    return workdir / "evaluations" / f"{split}{suffix}"


def check_data(workdir: Path, dataset: Dataset) -> None:
    """Raises `DataError` unless the run in `workdir` was started with the data in `dataset`."""
    manifest = read_manifest(workdir)
    before = manifest.get("datasets", {}).get(dataset.name, manifest["data"])  # a study may have several
    described = described_data({"data": before})
    if described.class_names != dataset.description.class_names:
        raise DataError(
            f"the run in {workdir} began with other class names than {dataset.name} has now, "
            f"{described.num_classes} from {described.class_names[0]!r} on; give the same, or take another --workdir"
        )
    if before["digests"] != dict(dataset.digests):
        raise DataError(
            f"the run in {workdir} began with {before['name']} data of other content than {dataset.name} "
            f"from {dataset.origin}; set --config.data.dir to the same files, or take another --workdir"
        )
