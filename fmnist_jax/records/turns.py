"""Times two records in turns, A B A B ...: whatever else the machine does, it does to both alike."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from fmnist_jax import data
from fmnist_jax.data import Dataset, Split
from fmnist_jax.files.atomic import write_json
from fmnist_jax.records.timed import TimedRun
from fmnist_jax.train.manifest import provenance


def time_in_turns(configs: Mapping[str, ConfigDict], folder: Path, turns: int) -> dict[str, Any]:
    """Times each of two runs so many times, prints the seconds, and writes `turns_OTHER.json` into the folder.

    They train on all training images and score some of these: as much work as a record, and no test image.

    **Arguments:**

    - `configs`: by name, the challenger's first; both are timed on its data.

    **Returns:** what the file holds: the `seconds` by name, and the `ratio` of the second one's to the first one's.
    """
    section = next(iter(configs.values())).data.copy_and_resolve_references()
    section.val_examples = 0
    dataset = _without_test(data.load(section))
    timed = {name: TimedRun(config, dataset, "test") for name, config in configs.items()}
    for name, run in timed.items():
        print(f"{name}: compiled in {run.compile():.1f} s", flush=True)
        run.warm_up()
    seconds: dict[str, list[float]] = {name: [] for name in timed}
    for turn in range(turns):
        for name, run in timed.items():
            seconds[name].append(run(seed=turn).train_seconds)
        shown = ", ".join(f"{name} {found[-1]:.2f} s" for name, found in seconds.items())
        print(f"turn {turn + 1}/{turns}: {shown}", flush=True)
    (_, first), (other_name, second) = seconds.items()
    ratios = [other / own for own, other in zip(first, second, strict=True)]
    result = {
        "seconds": {name: _spread(found) | {"turns": found} for name, found in seconds.items()},
        "ratio": _spread(ratios),
        **provenance(dataset),
    }
    write_json(folder / f"turns_{other_name}.json", result)
    return result


def _without_test(dataset: Dataset) -> Dataset:
    """The data with training images in place of those of the test set, as many."""
    examples = len(dataset.test)
    stand_in = Split(dataset.train.images[:examples], dataset.train.labels[:examples])
    return dataclasses.replace(dataset, val=stand_in, test=stand_in)


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "low": min(values), "high": max(values)}
