"""What the command `record` does: a record, a pilot, or turns against another record."""

from __future__ import annotations

from pathlib import Path

from ml_collections import ConfigDict

from fmnist_jax.config import schema as config_schema
from fmnist_jax.config.python_file import read_config_file
from fmnist_jax.errors import ConfigError, WorkdirError
from fmnist_jax.files.reader import WorkdirReader
from fmnist_jax.records.declaration import SCHEMA, declared, registered
from fmnist_jax.records.page import write_page, write_table
from fmnist_jax.records.pilot import PILOT, run_pilot
from fmnist_jax.records.record import LEDGER, RECORD, run_record
from fmnist_jax.records.registration import commit_of
from fmnist_jax.records.turns import time_in_turns
from fmnist_jax.report.format import counted, p_value
from fmnist_jax.runtime import compiler
from fmnist_jax.train.workdir import read_config, read_manifest

_ROOT = Path(__file__).resolve().parents[2]
_RESULTS = _ROOT / "docs" / "records"


def record(config: ConfigDict, config_file: Path, workdir: Path | None) -> None:
    """Runs a registered record, and writes its page and the table of all; of a finished one, only these.

    **Raises:** `UserError` for an error in the config, the checkout, the data or the folder.
    """
    folder, checked = workdir or _RESULTS / config_file.stem, registered(config, config_file)
    if (folder / RECORD).exists():
        _check_same(folder, checked)
    else:
        since = read_manifest(folder)["git_sha"] if (folder / "config.json").exists() else None
        commit = commit_of(_ROOT, config_file, _RESULTS, since)
        compiler.disable_cache()  # the seconds of compilation are those of a first start
        run_record(checked, config_file, folder, _RESULTS / LEDGER, commit)
    found = WorkdirReader(folder, "restore it from git").object(RECORD)
    page = write_page(folder)
    write_table(_RESULTS)
    print(
        f"{found['name']} {'holds' if found['valid'] else 'misses its target'}: mean test accuracy {found['mean']:.2%} "
        f"of {found['n']} runs (target {100 * found['target']:.5g} %, p {p_value(found['p'])}), "
        f"median {found['median_seconds']:.2f} s; page: {page}"
    )


def _check_same(folder: Path, config: ConfigDict) -> None:
    lines = config_schema.differences(read_config(folder, SCHEMA), config)
    if changed := [line for line in lines if not line.startswith("config.data.dir:")]:
        raise WorkdirError(
            f"{folder} holds the finished record of another config ({'; '.join(changed)}); take another name for it"
        )


def pilot(config: ConfigDict, config_file: Path, workdir: Path | None, seeds: int) -> None:
    """Runs a pilot and prints its mean; raises `UserError` as `run_pilot` does, or without a workdir."""
    if workdir is None:
        raise ConfigError("--workdir must be given: the folder of the pilot")
    found = run_pilot(declared(config, config_file), config_file, workdir, seeds)
    spread = f" ({found.low:.2%} to {found.high:.2%} at 95 %; standard deviation {found.standard_deviation:.2%})"
    print(
        f"mean validation accuracy {found.mean_accuracy:.2%}{spread if len(found.runs) > 1 else ''} "
        f"of {counted(len(found.runs), 'seed')}; median {found.median_seconds:.2f} s; {workdir / PILOT}"
    )


def turns(config: ConfigDict, config_file: Path, other_file: Path, workdir: Path | None, number: int) -> None:
    """Times two records in turns, and prints the ratio; raises `UserError` for an error in a config or the folder."""
    files = {config_file.stem: config, other_file.stem: read_config_file(other_file)}
    if len(files) < 2:
        raise ConfigError(f"--against must name another record, not {other_file}")
    if workdir is None and not _RESULTS.is_dir():  # installed without a checkout
        raise ConfigError("--workdir must be given: the folder of the times")
    found = time_in_turns(files, workdir or _RESULTS / config_file.stem, number)
    seconds, ratio = found["seconds"], found["ratio"]
    for name, each in seconds.items():
        print(f"{name}: median {each['median']:.2f} s ({each['low']:.2f} to {each['high']:.2f})")
    print(
        f"{other_file.stem} takes {ratio['median']:.3f} times as long as {config_file.stem} "
        f"({ratio['low']:.3f} to {ratio['high']:.3f})"
    )
