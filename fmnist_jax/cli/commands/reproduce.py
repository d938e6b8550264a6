"""Trains the four networks of the reference study on several seeds and compares the results with the published ones.

fmnist-jax reproduce --workdir=runs/reference [--seeds=5] [--configs=model1,model2,model3,model4]

Or other configs that come with the package. Each run equals one of `train` with the config and --config.seed; finished
runs are kept, interrupted ones resumed. Writes reference.json and reference.md into the workdir.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from absl import flags

from fmnist_jax.cli.flags import check_no_arguments, define_workdir
from fmnist_jax.config.python_file import read_config_file
from fmnist_jax.config.shipped import shipped
from fmnist_jax.errors import ConfigError, unknown_name

_WORKDIR = define_workdir("Folder of the runs, which are in CONFIG/seedS.")
_SEEDS = flags.DEFINE_integer("seeds", 5, "How many seeds of each config, from 0 on.", lower_bound=2)
_CONFIGS = flags.DEFINE_list("configs", ["model1", "model2", "model3", "model4"], "Names of files in configs/.")


def main(arguments: Sequence[str]) -> None:
    """Trains the missing runs, then writes the table of all runs in the workdir."""
    check_no_arguments(arguments)
    from fmnist_jax.report.run.reference import write_table
    from fmnist_jax.train.loop import train

    workdir = Path(_WORKDIR.value)
    files = [_config_file(name) for name in _CONFIGS.value]
    if not files:
        raise ConfigError("--configs must name one or more files of configs/")
    for file in files:
        config = read_config_file(file)
        for seed in range(_SEEDS.value):
            config.seed = seed
            train(config, workdir / file.stem / f"seed{seed}", file)
    print(write_table(workdir))


def _config_file(name: str) -> Path:
    files = shipped()
    if name not in files:
        raise unknown_name("--configs", name, sorted(files))
    return files[name]
