"""A registered record: trained on all training images, each run scored once on the test set, and tested."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from fmnist_jax import data
from fmnist_jax.compare.statistics import intervals
from fmnist_jax.compare.statistics.estimates import as_sample
from fmnist_jax.compare.statistics.hypothesis_tests import one_sided_t_test
from fmnist_jax.errors import ConfigError
from fmnist_jax.files.atomic import write_json
from fmnist_jax.records.declaration import SCHEMA, seeds_of
from fmnist_jax.records.ledger import Ledger
from fmnist_jax.records.series import columns, run_seeds
from fmnist_jax.records.timed import TimedRun
from fmnist_jax.train.claim import claim, locked
from fmnist_jax.train.loop import run_manifest
from fmnist_jax.train.workdir import read_manifest

RECORD, LEDGER = "record.json", "ledger.jsonl"
ALPHA = 0.01
MAX_COMPILE_SECONDS = 60.0
MANY_RUNS, LONG_SECONDS = 20, 240.0


def run_record(config: ConfigDict, config_file: Path, folder: Path, ledger: Path, commit: str) -> dict[str, Any]:
    """Runs the seeds of a record that the ledger has no score of yet, and writes `record.json` into its folder.

    **Arguments:**

    - `config`: as `registered` returns it; `commit`: that of its registration.
    - `ledger`: the file.

    **Returns:** what `record.json` holds.

    **Raises:** `UserError` for an error in the config, the data, the folder or the ledger, and, before the test set is
    scored, for a compilation that takes longer than the rules allow, or too few runs.
    """
    dataset, seeds = data.load(config.data), seeds_of(config)
    timed = TimedRun(config, dataset, "test")
    registration = {"git_sha": commit, "git_dirty": False, "seeds": list(seeds)}
    manifest = run_manifest(config, dataset, timed.run, config_file) | registration
    del manifest["seed"]
    with locked(ledger.parent), claim(folder, config, manifest, [dataset], SCHEMA):
        found = Ledger(ledger, config_file.stem, commit, seeds)
        if missing := [seed for seed in seeds if seed not in found.outcomes]:
            _prepare(timed, f"{config_file.stem}, {dataset.display_name}", len(missing))

            def before_score(seed: int, seconds: float) -> None:
                _check_number(len(seeds), seconds)
                found.intend(seed)

            for seed, outcome in run_seeds(timed, missing, before_score):
                found.add(seed, outcome)
        record = _record(config, config_file.stem, found, read_manifest(folder))
        write_json(folder / RECORD, record)
    return record


def _prepare(timed: TimedRun, name: str, runs: int) -> None:
    seconds = timed.compile()
    if seconds > MAX_COMPILE_SECONDS:
        raise ConfigError(
            f"compiling {name} took {seconds:.0f} s; a record may take {MAX_COMPILE_SECONDS:.0f} s for it"
        )
    timed.warm_up()
    print(f"{name}: {runs} runs to train and score; compiled in {seconds:.1f} s", flush=True)


def _check_number(runs: int, seconds: float) -> None:
    if runs < MANY_RUNS and seconds <= LONG_SECONDS:
        raise ConfigError(
            f"a run trained for {seconds:.0f} s; a record of less than {MANY_RUNS} runs is for those that take over "
            f"{LONG_SECONDS:.0f} s: declare n = {MANY_RUNS}"
        )


def _record(config: ConfigDict, name: str, ledger: Ledger, manifest: dict[str, Any]) -> dict[str, Any]:
    found = columns(ledger.outcomes)
    accuracies = found["accuracies"]
    p = one_sided_t_test(accuracies, config.record.target)
    return {
        "name": name,
        "target": config.record.target,
        "valid": p < ALPHA,
        "n": len(accuracies),
        "mean": statistics.fmean(accuracies),
        "standard_deviation": statistics.stdev(accuracies),
        # One-sided.
        "lower_bound_99": float(intervals.student_t(as_sample(accuracies), 1 - 2 * ALPHA).low),
        "p": p,
        "median_seconds": statistics.median(found["train_seconds"]),
        **found,
        "data": manifest["data"]["name"],
        "model": manifest["model"]["name"],
        "parameters": manifest["model"]["parameters"],
        "epochs": config.train.epochs,
        "device": manifest["device"],
        "commit": manifest["git_sha"],
        "command": manifest["command"],
    }
