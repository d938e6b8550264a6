"""A workdir holds one run or study: locks it, and checks that its config and data are still the same."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from fmnist_jax.config import schema as config_schema
from fmnist_jax.config.schema import SCHEMA, Schema, WrongScriptError
from fmnist_jax.data import FASHION_MNIST, Dataset, Description
from fmnist_jax.errors import ConfigError, DataError, WorkdirError
from fmnist_jax.files.atomic import write_atomically, write_json
from fmnist_jax.files.reader import WorkdirReader

INITIAL_WEIGHTS = "initial_weights.npz"
_REMOTE = re.compile(r"[a-z][a-z0-9+.-]+:/")  # as pathlib writes gs://bucket/folder
# Where a file system cannot lock: Lustre without its option, some of NFS's servers, some containers.
_NO_LOCKS = (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK)


@contextlib.contextmanager
def claim(
    workdir: Path,
    config: ConfigDict,
    manifest: dict[str, Any],
    datasets: Iterable[Dataset],
    schema: Schema = SCHEMA,
    initial_weights: bytes | None = None,
) -> Iterator[None]:
    """Locks the folder of a run or, with its schema, of a study while entered.

    Writes the config, the manifest and the weights to start from (`initial_weights`, an `.npz` file) into an unused
    folder; in a used one checks that the run there is the same.

    **Raises on entering:** `WorkdirError` where the folder cannot be written, is in use, or holds another config
    (naming the keys that differ) or other weights, `DataError` where the data differ.
    """
    with locked(workdir):
        if (workdir / "config.json").exists():
            for dataset in datasets:
                check_data(workdir, dataset)
            from fmnist_jax.train import restart  # it needs JAX, which readers of a workdir do without

            before, recorded = read_config(workdir, schema), read_manifest(workdir)
            if before.init_from == config.init_from:  # otherwise that is the error
                _check_weights(workdir, recorded, manifest)
            restart.continue_run(workdir, before, config, schema, recorded, manifest)
        else:
            if initial_weights is not None:
                write_atomically(workdir / INITIAL_WEIGHTS, initial_weights)
            write_json(workdir / "manifest.json", manifest)
            write_json(workdir / "config.json", config_schema.with_absolute_dir(config).to_dict())
        yield


@contextlib.contextmanager
def locked(workdir: Path) -> Iterator[None]:
    """Makes the folder where needed and locks it while entered; raises `WorkdirError` where it cannot."""
    with contextlib.ExitStack() as stack:
        try:
            if _REMOTE.match(str(workdir)):
                raise WorkdirError(f"{workdir} is not a folder of this machine; take a local --workdir, or mount it")
            workdir.mkdir(parents=True, exist_ok=True)
            # Opened without truncation and through no symbolic link: the name may have been planted.
            lock = os.open(workdir / ".lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
            stack.callback(os.close, lock)
            _lock(lock, workdir)
        except BlockingIOError:
            raise WorkdirError(f"{workdir} is in use by another process; wait for it or take another folder") from None
        except FileExistsError:
            raise WorkdirError(f"{workdir} is a file; take another --workdir") from None
        except OSError as error:
            problem = f"cannot be used as a workdir ({error.strerror})"
            raise WorkdirError(f"{workdir} {problem}; take another --workdir") from None
        yield


def _lock(file: int, workdir: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        problem = f"the file system of {workdir} has no locks ({error.strerror})"
        print(f"warning: {problem}; let no other process use this workdir", file=sys.stderr)


def _check_weights(workdir: Path, *manifests: Mapping[str, Any]) -> None:
    before, now = (manifest.get("init_from", {}).get("sha256") for manifest in manifests)
    if before != now:
        raise _reader(workdir).error(INITIAL_WEIGHTS, "does not hold the weights that the run started from")


def read_config(workdir: Path, schema: Schema = SCHEMA) -> ConfigDict:
    """Returns the config of the run or study in `workdir`; raises `WorkdirError` where it is missing or damaged."""
    reader = _reader(workdir)
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
    reader = _reader(workdir)
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


def _reader(workdir: Path) -> WorkdirReader:
    reader = WorkdirReader(workdir, "restore it or take another workdir")
    if not reader.has("config.json"):
        raise WorkdirError(f"{workdir} holds no run (no config.json); train one: scripts/train.py --workdir=...")
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
