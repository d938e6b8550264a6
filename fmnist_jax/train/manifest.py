"""What a figure needs to be made again: code, versions, device, seed, data, command."""

from __future__ import annotations

import datetime
import importlib.metadata
import platform
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
from ml_collections import ConfigDict

from fmnist_jax.data import Dataset
from fmnist_jax.runtime.memory import cores
from fmnist_jax.train.run import Member

_PACKAGES = ("fmnist_jax", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy", "ml_collections")


def manifest(
    config: ConfigDict, member: Member, dataset: Dataset, parameters: int, batch_devices: int
) -> dict[str, Any]:
    """Returns the manifest of a run that begins now, ready for JSON.

    **Arguments:**

    - `parameters`: how many numbers the model trains.
    - `batch_devices`: over how many devices each batch is spread.
    """
    numbers = {name: _shortest(float(value)) for name, value in member.hyperparameters.items()}
    return provenance(dataset) | {
        "seed": config.seed,
        "model": {"name": config.model.name, "parameters": parameters},
        "optimizer": {"name": config.optimizer.name, **numbers},
        "batch_devices": batch_devices,
    }


def provenance(dataset: Dataset) -> dict[str, Any]:
    """Returns what the manifest of anything that begins now and is made from `dataset` has in it, ready for JSON."""
    return {
        "command": shlex.join(["python", *sys.argv]),
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        **code(),
        "versions": _versions(),
        "device": device(),
        "data": {
            "name": dataset.name,
            "origin": dataset.origin,
            "digests": dict(dataset.digests),
            "examples": {"train": len(dataset.train), "val": len(dataset.val), "test": len(dataset.test)},
        },
    }


def device() -> dict[str, Any]:
    """Returns what computes: JAX's platform, its devices' kind and number, and the host."""
    devices = jax.devices()
    return {
        "platform": devices[0].platform,
        "kind": devices[0].device_kind,
        "count": len(devices),
        "host_cores": cores(),
        "host": f"{platform.system()} {platform.machine()}",
    }


def code() -> dict[str, Any]:
    """Returns the commit of the checkout that holds this file, `None` where it is installed without one."""
    here = Path(__file__).resolve().parents[2]
    sha = _git(here, "rev-parse", "HEAD") if (here / ".git").exists() else None
    dirty = _git(here, "status", "--porcelain", "--untracked-files=no") if sha else None
    return {"git_sha": sha, "git_dirty": bool(dirty) if sha else None}


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", "-C", folder, *arguments], capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = "not installed"
    return versions


def _shortest(value: float) -> float:
    """The shortest decimal that is the same float32, so that 0.001 reads so and not 0.0010000000474974513."""
    return float(f"{value:.7g}")
