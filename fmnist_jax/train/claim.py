"""A workdir holds one run or study: locks it, checks that a later start continues the same, and records each start."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from fmnist_jax.config import schema as config_schema
from fmnist_jax.config.schema import SCHEMA, Schema
from fmnist_jax.data import Dataset
from fmnist_jax.data.raw_files import expand_user
from fmnist_jax.errors import WorkdirError
from fmnist_jax.files.atomic import remove, write_atomically, write_json
from fmnist_jax.optim import schedules
from fmnist_jax.runtime import processes
from fmnist_jax.train import batches
from fmnist_jax.train.workdir import check_data, read_config, read_manifest, reader_of

INITIAL_WEIGHTS = "initial_weights.npz"
_SHOWN = 5
_RECORDED = ("started", "command", "git_sha", "git_dirty", "versions", "device", "batch_devices")
_EPOCHS = "config.train.epochs"

# From the config that a workdir holds, the config to go on with and the keys in which they differ: what is added, for
# the record of the start; `None` where the one cannot go on as the other.
Extend: TypeAlias = Callable[[ConfigDict, ConfigDict, Collection[str]], Mapping[str, Any] | None]
_REMOTE = re.compile(r"[a-z][a-z0-9+.-]+:/")  # as pathlib writes gs://bucket/folder
# Where a file system cannot lock: Lustre without its option, some of NFS's servers, some containers.
_NO_LOCKS = (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK)


def more_epochs(before: ConfigDict, config: ConfigDict, changed: Collection[str]) -> Mapping[str, Any] | None:
    """Returns the number of epochs with which a run goes on."""
    more = set(changed) == {_EPOCHS} and config.train.epochs > before.train.epochs
    return {"epochs": config.train.epochs} if more else None


@contextlib.contextmanager
def claim(
    workdir: Path,
    config: ConfigDict,
    manifest: dict[str, Any],
    datasets: Iterable[Dataset],
    schema: Schema = SCHEMA,
    initial_weights: bytes | None = None,
    extend: Extend | None = None,
) -> Iterator[None]:
    """Locks the folder of a run or, with its schema, of a study while entered.

    Writes the config, the manifest and the weights to start from (`initial_weights`, an `.npz` file) into an unused
    folder; in a used one checks that the run there is the same, or one that `extend`, if any, allows to go on.

    **Raises on entering:** `WorkdirError` where the folder cannot be written, is in use, or holds another config
    (naming the keys that differ) or other weights, `DataError` where the data differ.
    """
    with locked(workdir):
        with processes.writer_first():
            _begin_or_continue(workdir, config, manifest, datasets, schema, initial_weights, extend)
        yield


def _begin_or_continue(
    workdir: Path,
    config: ConfigDict,
    manifest: dict[str, Any],
    datasets: Iterable[Dataset],
    schema: Schema,
    initial_weights: bytes | None,
    extend: Extend | None,
) -> None:
    if (workdir / "config.json").exists():
        for dataset in datasets:
            check_data(workdir, dataset)
        before, recorded = read_config(workdir, schema), read_manifest(workdir)
        if before.init_from == config.init_from:  # otherwise that is the error
            _check_weights(workdir, recorded, manifest)
        _continue(workdir, before, config, schema, recorded, manifest, extend)
        return
    if not processes.is_writer():
        raise WorkdirError(f"{workdir} is not on a file system that all processes share, as --workdir must be")
    _check_unused(workdir)
    if initial_weights is not None:
        write_atomically(workdir / INITIAL_WEIGHTS, initial_weights)
    write_json(workdir / "manifest.json", manifest)
    write_json(workdir / "config.json", _with_absolute_dir(config).to_dict())


def _check_unused(workdir: Path) -> None:
    """Raises `WorkdirError` where the folder has lost its config: another run would go on from what is left."""
    for name in ("checkpoints", "plan.json"):
        if (workdir / name).exists():
            raise WorkdirError(f"{workdir} holds {name} but no config.json; restore it, or take another --workdir")


@contextlib.contextmanager
def locked(workdir: Path) -> Iterator[None]:
    """Makes the folder where needed and locks it while entered; raises `WorkdirError` where it cannot.

    Of several processes that train together, the writer does.
    """
    if not processes.is_writer():
        yield
        return
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
        raise reader_of(workdir).error(INITIAL_WEIGHTS, "does not hold the weights that the run started from")


def _continue(
    workdir: Path,
    before: ConfigDict,
    config: ConfigDict,
    schema: Schema,
    recorded: dict[str, Any],
    start: dict[str, Any],
    extend: Extend | None,
) -> None:
    """Checks that what `workdir` holds can go on with `config`, and records the start in its manifest.

    The folder of the data may be another one, for their digests decide; and what `extend` allows may be added, more
    epochs of a run only where its schedule is the same for those that it has. The summary, then, is written anew.

    **Arguments:**

    - `before`: the config there; `recorded`: the manifest there; `start`: a manifest of this start.

    **Raises:** `WorkdirError` where another key differs, the schedule does, or the order of its batches would.
    """
    changed = {line.partition(":")[0]: line for line in config_schema.differences(before, config)}
    changed.pop("config.data.dir", None)
    added = extend(before, config, changed.keys()) if changed and extend else None
    if changed and added is None:
        more = f" and {len(changed) - _SHOWN} more" if len(changed) > _SHOWN else ""
        hint = ", to which arms and seeds can be added" if extend and schema is not SCHEMA else ""
        raise WorkdirError(
            f"{workdir} holds {config_schema.purpose_of(schema).name} of another config "
            f"({'; '.join(list(changed.values())[:_SHOWN])}{more}); "
            f"take another --workdir, or the same config to resume{hint}"
        )
    if added is None and (workdir / "summary.json").exists():
        return  # nothing is left to train
    if recorded.get("data_order") != start["data_order"]:
        raise WorkdirError(
            f"{workdir} was begun by an earlier version of this program, which drew its batches in another order; "
            "continue with that version, or take another --workdir"
        )
    if _EPOCHS in changed:
        _check_schedule(workdir, before, config, recorded["data"]["examples"]["train"])
    _record(workdir, recorded, start, added or {})
    if added is not None:
        write_json(workdir / "config.json", _with_absolute_dir(config).to_dict())
        remove(workdir / "summary.json")


def _with_absolute_dir(config: ConfigDict) -> ConfigDict:
    """Returns a copy whose `data.dir` does not depend on the current folder."""
    copy = config.copy_and_resolve_references()
    if copy.data.dir:
        copy.data.dir = str(expand_user(copy.data.dir).absolute())
    return copy


def _check_schedule(workdir: Path, before: ConfigDict, config: ConfigDict, train_examples: int) -> None:
    steps_per_epoch = batches.num_batches(train_examples, config.train.batch_size)
    steps = jnp.arange(before.train.epochs * steps_per_epoch)

    def factors(config: ConfigDict) -> list[np.ndarray]:
        made = schedules.of(config.schedule, config.train.epochs * steps_per_epoch, steps_per_epoch)
        return [np.asarray(jax.vmap(each)(steps)) for each in made if callable(each)]

    if not all(map(np.array_equal, factors(before), factors(config))):
        raise WorkdirError(
            f"the run in {workdir} was planned for {before.train.epochs} epochs and cannot go on to "
            f"{config.train.epochs}: its schedule {config.schedule.name!r} would have been another from the start; "
            "take another --workdir"
        )


def _record(workdir: Path, recorded: dict[str, Any], start: Mapping[str, Any], added: Mapping[str, Any]) -> None:
    """Adds a start to the manifest; says where figures may not be those of an uninterrupted run to the last bit."""
    started = {key: start[key] for key in _RECORDED if key in start} | dict(added)
    previous = [recorded, *recorded.get("restarts", [])][-1]
    changes = [*_changed_versions(previous, started), *_changed_devices(previous, started)]
    if previous.get("git_sha") != started.get("git_sha"):
        changes.append("other code")
    if changes:
        differing = "figures can differ in rounding from those of an uninterrupted run"
        print(f"note: resumed with {', '.join(changes)}: {differing}", file=sys.stderr)
    write_json(workdir / "manifest.json", recorded | {"restarts": [*recorded.get("restarts", []), started]})


def _changed_versions(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    old, new = before.get("versions", {}), now.get("versions", {})
    return [f"{name} {new[name]} in place of {old[name]}" for name in new if name in old and new[name] != old[name]]


def _changed_devices(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    found = []
    kinds = [start.get("device", {}).get("kind") for start in (before, now)]
    if kinds[0] != kinds[1]:
        found.append(f"{kinds[1]} in place of {kinds[0]}")
    counts = [start.get("batch_devices") for start in (before, now)]
    if counts[0] != counts[1]:
        found.append(f"each batch on {counts[1]} devices in place of {counts[0]}")
    numbers = [start.get("device", {}).get("processes", 1) for start in (before, now)]
    if numbers[0] != numbers[1]:
        found.append(f"{numbers[1]} processes in place of {numbers[0]}")
    return found
