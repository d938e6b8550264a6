"""A later start of a run or a study: what may have changed since the first, and the record of it in the manifest."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from fmnist_jax.config import schema as config_schema
from fmnist_jax.config.schema import SCHEMA, Schema
from fmnist_jax.errors import WorkdirError
from fmnist_jax.files.atomic import remove, write_json
from fmnist_jax.optim import schedules
from fmnist_jax.train import batches

_SHOWN = 5
_RECORDED = ("started", "command", "git_sha", "git_dirty", "versions", "device", "batch_devices")
_EPOCHS = "config.train.epochs"


def continue_run(
    workdir: Path,
    before: ConfigDict,
    config: ConfigDict,
    schema: Schema,
    recorded: dict[str, Any],
    start: dict[str, Any],
) -> None:
    """Checks that what `workdir` holds can go on with `config`, and records the start in its manifest.

    The folder of the data may be another one, for their digests decide; and a run may go on to more epochs where its
    schedule is the same for those that it has. It then loses its summary, which is written anew.

    **Arguments:**

    - `before`: the config there; `recorded`: the manifest there; `start`: a manifest of this start.

    **Raises:** `WorkdirError` where another key differs, or the schedule does.
    """
    changed = {line.partition(":")[0]: line for line in config_schema.differences(before, config)}
    changed.pop("config.data.dir", None)
    goes_on = changed.keys() == {_EPOCHS} and schema is SCHEMA and config.train.epochs > before.train.epochs
    if goes_on:
        _check_schedule(workdir, before, config, recorded["data"]["examples"]["train"])
    elif changed:
        more = f" and {len(changed) - _SHOWN} more" if len(changed) > _SHOWN else ""
        raise WorkdirError(
            f"{workdir} holds {config_schema.purpose_of(schema).name} of another config "
            f"({'; '.join(list(changed.values())[:_SHOWN])}{more}); "
            "take another --workdir, or the same config to resume"
        )
    if not goes_on and (workdir / "summary.json").exists():
        return  # nothing is left to train
    _record(workdir, recorded, start | {"epochs": config.train.epochs} if goes_on else start)
    if goes_on:
        write_json(workdir / "config.json", config_schema.with_absolute_dir(config).to_dict())
        remove(workdir / "summary.json")


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


def _record(workdir: Path, recorded: dict[str, Any], start: Mapping[str, Any]) -> None:
    """Adds a start to the manifest; says where figures may not be those of an uninterrupted run to the last bit."""
    started = {key: start[key] for key in (*_RECORDED, "epochs") if key in start}
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
    return found
