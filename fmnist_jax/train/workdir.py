"""A workdir holds one run: which one, and that no other process writes to it."""

from __future__ import annotations

import fcntl
import json
from pathlib import Path
from types import TracebackType
from typing import Any

from ml_collections import ConfigDict

from fmnist_jax.config import schema as config_schema
from fmnist_jax.config.schema import SCHEMA, Schema, WrongKindError
from fmnist_jax.data import Dataset
from fmnist_jax.errors import ConfigError, DataError, WorkdirError
from fmnist_jax.files.atomic import write_atomically
from fmnist_jax.train.writers import write_json

_SHOWN = 5


class Workdir:
    """The folder of a run or, with its schema, of a study, locked while entered.

    Nothing is written before the run is known to fit.

    **Raises on entering:** `WorkdirError` where the folder cannot be written, holds another config's run (the keys that
    differ are named), or is in use.
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
        """Enters the run into an unused folder, or checks that it is the one that is there.

        **Raises:** `WorkdirError` where the config differs, `DataError` where the data do.
        """
        if not (self.path / "config.json").exists():
            write_json(self.path / "manifest.json", manifest)
            write_atomically(self.path / "config.json", config_schema.to_json(config).encode())
            return
        changed = config_schema.differences(read_config(self.path, self._schema), config)
        if changed:
            more = f" and {len(changed) - _SHOWN} more" if len(changed) > _SHOWN else ""
            name = config_schema.kind_of(self._schema).name
            raise WorkdirError(
                f"{self.path} holds {name} of another config ({'; '.join(changed[:_SHOWN])}{more}); "
                "take another --workdir, or the same config to resume"
            )
        check_data(self.path, dataset)

    def _release(self) -> None:
        if self._lock is not None:
            self._lock.close()


def read_config(workdir: Path, schema: Schema = SCHEMA) -> ConfigDict:
    """Returns the config of what is in `workdir`; raises `WorkdirError` where there is none or it is damaged."""
    file = workdir / "config.json"
    try:
        return config_schema.from_json(file.read_text(), schema)
    except WrongKindError as error:
        raise WorkdirError(f"{file} is not for this script: {error}, or take another workdir") from None
    except FileNotFoundError:
        raise WorkdirError(
            f"{workdir} holds no run (no config.json); train one: scripts/train.py --workdir=..."
        ) from None
    except (OSError, UnicodeDecodeError, ConfigError) as error:
        raise WorkdirError(f"{file} cannot be read ({error}); restore it or take another workdir") from None


def read_manifest(workdir: Path) -> dict[str, Any]:
    """Returns the manifest of the run in `workdir`; raises `WorkdirError` where it is missing or damaged."""
    file = workdir / "manifest.json"
    try:
        found = json.loads(file.read_text())
        found["data"]["name"], found["data"]["digests"], found["data"]["examples"]["train"]
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError):
        raise WorkdirError(f"{file} is missing or damaged; restore it or take another workdir") from None
    return dict(found)


def check_data(workdir: Path, dataset: Dataset) -> None:
    """Raises `DataError` unless `dataset` is the one that the run in `workdir` began with."""
    before = read_manifest(workdir)["data"]
    if before["digests"] != dict(dataset.digests):
        raise DataError(
            f"the run in {workdir} began with {before['name']} data of other content than {dataset.name} "
            f"from {dataset.origin}; set --config.data.dir to the same files, or take another --workdir"
        )
