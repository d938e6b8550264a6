"""A pilot tries a config out on a validation split. The test set is out of its reach."""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Mapping
from pathlib import Path

from ml_collections import ConfigDict

from fmnist_jax import data
from fmnist_jax.compare.statistics import estimates
from fmnist_jax.data import Dataset, Split
from fmnist_jax.data.dataset import hold_out
from fmnist_jax.files.atomic import write_json
from fmnist_jax.files.reader import WorkdirReader
from fmnist_jax.records.declaration import SCHEMA
from fmnist_jax.records.series import run_seeds
from fmnist_jax.records.timed import Outcome, TimedRun
from fmnist_jax.train.claim import claim
from fmnist_jax.train.loop import run_manifest

PILOT = "pilot.json"
_SHARE = 12  # one training image in so many validates: 5,000 of 60,000


@dataclasses.dataclass(frozen=True)
class Pilot:
    """What `pilot.json` holds: validation accuracies summarised, the mean with its 95 % interval; the runs by seed."""

    mean_accuracy: float
    low: float
    high: float
    standard_deviation: float
    median_seconds: float
    runs: Mapping[str, Outcome]


def without_test(dataset: Dataset) -> Dataset:
    """Returns the training images, a twelfth of them held out to validate on, stratified, and no test image."""
    train, val = hold_out(dataset.train, len(dataset.train) // _SHARE)
    nothing = Split(dataset.test.images[:0], dataset.test.labels[:0])
    return dataclasses.replace(dataset, train=train, val=val, test=nothing)


def run_pilot(config: ConfigDict, config_file: Path, folder: Path, seeds: int) -> Pilot:
    """Runs that many seeds from `config.seed` on, but those that `pilot.json` in the folder has, and writes it.

    **Arguments:**

    - `config`: as `declared` returns it; how many images validate is not its choice.

    **Raises:** `UserError` for an error in the config, the data or the folder.
    """
    config.data.val_examples = 0
    dataset = without_test(data.load(config.data))
    config.data.val_examples = len(dataset.val)
    timed = TimedRun(config, dataset, "val")
    with claim(folder, config, run_manifest(config, dataset, timed.run, config_file), [dataset], SCHEMA):
        runs = _read(folder)
        missing = [seed for seed in range(config.seed, config.seed + seeds) if str(seed) not in runs]
        if missing:
            images = f"{len(dataset.train):,} training and {len(dataset.val):,} validation images"
            seconds = timed.compile()
            print(f"{config_file.stem}, {dataset.display_name}: {images}; compiled in {seconds:.1f} s", flush=True)
        for seed, outcome in run_seeds(timed, missing):
            runs[str(seed)] = outcome
            write_json(folder / PILOT, dataclasses.asdict(_summarised(runs)))
    return _summarised(runs)


def _read(folder: Path) -> dict[str, Outcome]:
    reader = WorkdirReader(folder, "remove it, or take another --workdir")
    return dict(reader.record(Pilot, reader.object(PILOT), PILOT).runs) if reader.has(PILOT) else {}


def _summarised(runs: Mapping[str, Outcome]) -> Pilot:
    accuracies = [run.accuracy for run in runs.values()]
    mean, deviation = estimates.mean(accuracies), statistics.stdev(accuracies) if len(runs) > 1 else math.nan
    seconds = statistics.median(run.train_seconds for run in runs.values())
    return Pilot(mean.value, mean.low, mean.high, deviation, seconds, runs)
