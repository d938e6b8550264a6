"""Trains the four networks of the reference study on several seeds and compares the results with the published ones.

python scripts/reproduce.py --workdir=runs/reference [--seeds=5] [--models=model1,model2,model3,model4]

Each run equals scripts/train.py with configs/modelN.py and --config.seed; finished runs are kept, interrupted ones
resumed. Writes reference.json and reference.md into the workdir.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from absl import flags

from fmnist_jax.cli import app
from fmnist_jax.cli.flags import check_no_arguments, define_workdir
from fmnist_jax.config.python_file import read_config_file
from fmnist_jax.errors import ConfigError, unknown_name

_WORKDIR = define_workdir("Folder of the runs, which are in modelN/seedS.")
_SEEDS = flags.DEFINE_integer("seeds", 5, "How many seeds of each network, from 0 on.", lower_bound=2)
_MODELS = flags.DEFINE_list("models", ["model1", "model2", "model3", "model4"], "Which of the study's networks.")


def main(arguments: Sequence[str]) -> None:
    """Trains the missing runs, then writes the table of all runs in the workdir."""
    check_no_arguments(arguments)
    from fmnist_jax.report.run.reference import write_table
    from fmnist_jax.train.loop import train

    workdir = Path(_WORKDIR.value)
    files = [_config_file(model) for model in _MODELS.value]
    if not files:
        raise ConfigError("--models must name one or more of the study's networks")
    for file in files:
        config = read_config_file(file)
        for seed in range(_SEEDS.value):
            config.seed = seed
            train(config, workdir / file.stem / f"seed{seed}", file)
    print(write_table(workdir))


def _config_file(model: str) -> Path:
    from fmnist_jax.report.run.reference import PUBLISHED

    if model not in PUBLISHED:
        raise unknown_name("--models", model, PUBLISHED)
    return Path(__file__).parent.parent / "configs" / f"{model}.py"


if __name__ == "__main__":
    app.run(main)
