"""Trains one network and writes its checkpoints, metrics, plots and report into a workdir.

fmnist-jax train --config=model3 --workdir=runs/model3 [--config.optimizer.learning_rate=3e-4 ...]

The same command again resumes an interrupted run, bit for bit. Every config key can be overridden:
"""

from __future__ import annotations

from collections.abc import Sequence

from fmnist_jax.cli.flags import check_no_arguments, config_file, define_config, define_processes, define_workdir
from fmnist_jax.config import schema as config_schema

__doc__ += config_schema.describe()

_CONFIG = define_config()
_WORKDIR = define_workdir("Folder of the run; an existing run of the same config is resumed.")
define_processes()


def main(arguments: Sequence[str]) -> None:
    """Trains, then writes the report."""
    check_no_arguments(arguments)
    from fmnist_jax.runtime import processes
    from fmnist_jax.train.loop import train

    summary = train(_CONFIG.value, _WORKDIR.value, config_file())
    if processes.is_writer():
        from fmnist_jax.report import write_run_report

        report = write_run_report(_WORKDIR.value)
        print(f"{summary['status']} after epoch {summary['epoch']}; report: {report}")
