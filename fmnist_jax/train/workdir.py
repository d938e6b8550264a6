"""A workdir holds one run or study: locks it, and checks that its config and data are still the same."""

from __future__ import annotations

import fcntl
from pathlib import Path
from types import TracebackType
from typing import Any

from ml_collections import ConfigDict

from fmnist_jax.config import schema as config_schema
from fmnist_jax.config.schema import SCHEMA, Schema, WrongScriptError
from fmnist_jax.data import Dataset
from fmnist_jax.errors import ConfigError, DataError, WorkdirError
from fmnist_jax.files.atomic import write_json
from fmnist_jax.files.reader import WorkdirReader

_SHOWN = 5


class Workdir:
    """The folder of a run or, with its schema, of a study; locked while entered.

    **Raises on entering:** `WorkdirError` where the folder cannot be written or is in use.
    """

    def __init__(self, path: Path, schema: Schema = SCHEMA):
        self.path = path
        self._schema = schema
        self._lock: Any = None

    def __enter__(self) -> Workdir:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = (self.path / ".lock").open("w")
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._release()
            raise WorkdirError(
                f"{self.path} is in use by another process; wait for it or take another folder"
            ) from None
        except FileExistsError:
            raise WorkdirError(f"{self.path} is a file; take another --workdir") from None
        except OSError as error:
            self._release()
            raise WorkdirError(
                f"{self.path} cannot be used as a workdir ({error.strerror}); take another --workdir"
            ) from None
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._release()

    def begin(self, config: ConfigDict, manifest: dict[str, Any], dataset: Dataset) -> None:
        """Writes the config and the manifest into an unused folder, or checks that the run there is the same.

        **Raises:** `WorkdirError` where the config differs (naming the keys), `DataError` where the data differ.
        """
        if not (self.path / "config.json").exists():
            write_json(self.path / "manifest.json", manifest)
            write_json(self.path / "config.json", config.to_dict())
            return
        changed = config_schema.differences(read_config(self.path, self._schema), config)
        if changed:
            more = f" and {len(changed) - _SHOWN} more" if len(changed) > _SHOWN else ""
            name = config_schema.purpose_of(self._schema).name
            raise WorkdirError(
                f"{self.path} holds {name} of another config ({'; '.join(changed[:_SHOWN])}{more}); "
                "take another --workdir, or the same config to resume"
            )
        check_data(self.path, dataset)

    def _release(self) -> None:
        if self._lock is not None:
            self._lock.close()


def read_config(workdir: Path, schema: Schema = SCHEMA) -> ConfigDict:
    """Returns the config of the run or study in `workdir`; raises `WorkdirError` where it is missing or damaged."""
    reader = _reader(workdir)
    if not reader.has("config.json"):
        raise WorkdirError(f"{workdir} holds no run (no config.json); train one: scripts/train.py --workdir=...")
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
        found["data"]["name"], found["data"]["digests"], found["data"]["examples"]["train"]
    except (KeyError, TypeError):
        raise reader.error("manifest.json", "does not describe the data of a run") from None
    return found


def _reader(workdir: Path) -> WorkdirReader:
    return WorkdirReader(workdir, "restore it or take another workdir")


def evaluation_path(workdir: Path, split: str, checkpoint: str = "last") -> Path:
    """Returns the folder of the evaluation of a checkpoint, `"last"`, `"best"` or an epoch, on a split.

    It is `evaluations/<split>` for the last one, else `evaluations/<split>-best` or e.g. `evaluations/<split>-epoch3`.
    """
    suffix = "" if checkpoint == "last" else "-best" if checkpoint == "best" else f"-epoch{checkpoint}"
    return workdir / "evaluations" / f"{split}{suffix}"


def check_data(workdir: Path, dataset: Dataset) -> None:
    """Raises `DataError` unless the run in `workdir` was started with the data in `dataset`."""
    before = read_manifest(workdir)["data"]
    if before["digests"] != dict(dataset.digests):
        raise DataError(
            f"the run in {workdir} began with {before['name']} data of other content than {dataset.name} "
            f"from {dataset.origin}; set --config.data.dir to the same files, or take another --workdir"
        )
