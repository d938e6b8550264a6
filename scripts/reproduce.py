"""Trains the four networks of the reference study on several seeds, and sets ours beside its figures.

python scripts/reproduce.py --workdir=runs/reference [--seeds=5] [--models=model1,model2,model3,model4]

Each run is that of scripts/train.py with configs/modelN.py and --config.seed; runs that are there already are kept,
interrupted ones resumed. Writes reference.json and reference.md into the workdir.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from absl import flags
from ml_collections import ConfigDict

from fmnist_jax.cli import app
from fmnist_jax.cli.flags import check_no_arguments, define_workdir
from fmnist_jax.config.python_file import read_config_file
from fmnist_jax.errors import ConfigError, unknown_name

_WORKDIR = define_workdir("Folder of the runs, as modelN/seedS in it.")
_SEEDS = flags.DEFINE_integer("seeds", 5, "How many seeds, from 0, of each network.", lower_bound=2)
_MODELS = flags.DEFINE_list("models", ["model1", "model2", "model3", "model4"], "Which of the study's networks.")


def main(arguments: Sequence[str]) -> None:
    """Trains what is missing, then writes the table of everything that is there."""
    check_no_arguments(arguments)
    from fmnist_jax.report.run.reference import write_table
    from fmnist_jax.train.loop import train

    workdir = Path(_WORKDIR.value)
    configs = {model: _config(model) for model in _MODELS.value}
    if not configs:
        raise ConfigError("--models must name one or more of the study's networks")
    for model, config in configs.items():
        for seed in range(_SEEDS.value):
            config.seed = seed
            train(config, workdir / model / f"seed{seed}")
    print(write_table(workdir))


def _config(model: str) -> ConfigDict:
    from fmnist_jax.report.run.reference import PUBLISHED

    if model not in PUBLISHED:
        raise unknown_name("--models", model, PUBLISHED)
    return read_config_file(Path(__file__).parent.parent / "configs" / f"{model}.py")


if __name__ == "__main__":
    app.run(main)
