"""The manifest: what it takes to reproduce a run or a study, from code and versions to data, seed and config file."""

from __future__ import annotations

import datetime
import hashlib
import importlib.metadata
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax

from fmnist_jax.data import Dataset
from fmnist_jax.errors import PROGRAM, ConfigError, UnknownNameError
from fmnist_jax.runtime.devices import cores
from fmnist_jax.train import batches

_PACKAGES = ("fmnist_jax", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy", "ml_collections")


def data_record(dataset: Dataset) -> dict[str, Any]:
    """Returns what the manifest says of a data set, ready for JSON."""
    return {
        "name": dataset.name,
        "origin": dataset.origin,
        **{key: value for key, value in vars(dataset.description).items() if key != "name"},
        "digests": dict(dataset.digests),
        "examples": {"train": len(dataset.train), "val": len(dataset.val), "test": len(dataset.test)},
    }


def provenance(dataset: Dataset, config_file: str | os.PathLike[str] | None = None) -> dict[str, Any]:
    """Returns the part of the manifest that runs and studies share, ready for JSON.

    **Arguments:**

    - `config_file`: where the config comes from.
    """
    devices = jax.devices()
    return {
        "command": command_line(),
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "config_file": None if config_file is None else _config_file(Path(config_file)),
        **code(),
        "versions": versions(),
        "device": {
            "platform": devices[0].platform,
            "kind": devices[0].device_kind,
            "count": len(devices),
            "processes": jax.process_count(),
            "host_cores": cores(),
            "host": f"{platform.system()} {platform.machine()}",
        },
        "data": data_record(dataset),
        "data_order": batches.ORDER,
    }


def command_line() -> str:
    """Returns the command that started this process, as it is typed in a shell."""
    installed = Path(sys.argv[0]).name == PROGRAM
    return shlex.join([PROGRAM, *sys.argv[1:]] if installed else ["python", *sys.argv])


def recorded_config_file(manifest: Mapping[str, Any], unknown: UnknownNameError) -> Path:
    """Returns the path of the config file that a run was started with, to run it for what it registers.

    **Arguments:**

    - `unknown`: the error about a name that is not registered without it.

    **Raises:** `ConfigError` where none was recorded, or the file is gone or has changed.
    """
    recorded = manifest.get("config_file")
    if not isinstance(recorded, dict) or not isinstance(recorded.get("path"), str):
        raise ConfigError(f"{unknown}; pass --config=FILE, the file that registers it") from None
    path = Path(recorded["path"])
    if not path.is_file():
        problem = "is gone; pass --config=FILE, its new path"
    elif _config_file(path) != recorded:
        problem = "has changed since the run began; pass --config=FILE, that file if it still registers the same"
    else:
        return path
    raise ConfigError(f"{unknown}; the run's config file {path}, which may register it, {problem}") from None


def code() -> dict[str, Any]:
    """Returns the commit of the checkout that holds this file, `None` where it is installed without one."""
    here = Path(__file__).resolve().parents[2]
    sha = git(here, "rev-parse", "HEAD") if (here / ".git").exists() else None
    dirty = git(here, "status", "--porcelain", "--untracked-files=no") if sha else None
    return {"git_sha": sha, "git_dirty": bool(dirty) if sha else None}


def _config_file(path: Path) -> dict[str, str]:
    return {"path": str(path.resolve()), "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


def git(folder: Path, *arguments: str) -> str | None:
    """Returns what a git command prints in `folder`, without white space at the ends; `None` where it fails."""
    try:
        # Without optional locks, `git status` writes nothing into the repository.
        command = ["git", "--no-optional-locks", "-C", str(folder), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def versions() -> dict[str, str]:
    """Returns the versions of Python and of the packages that compute."""
    versions = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = "not installed"
    return versions
