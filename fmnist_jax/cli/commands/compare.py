"""Compares optimizers over seeds, tuned or at given settings, and writes the report of the study into a workdir.

fmnist-jax compare --config=compare_quick --workdir=runs/compare_quick [--config.study.seeds=5 ...]

Tuples are comma-separated: --config.study.optimizers=rmsprop,adam:learning_rate=3e-4,b1=0.8. The same command again
resumes an interrupted study; for a finished one it only rewrites the report. Every config key can be overridden:
"""

from __future__ import annotations

from collections.abc import Sequence

from fmnist_jax.cli.flags import check_no_arguments, config_file, define_config, define_processes, define_workdir
from fmnist_jax.compare.config import SCHEMA
from fmnist_jax.config import schema as config_schema

__doc__ += config_schema.describe(SCHEMA)

_CONFIG = define_config("compare_quick", SCHEMA)
_WORKDIR = define_workdir("Folder of the study; an existing study of the same config is resumed.")
define_processes()


def main(arguments: Sequence[str]) -> None:
    """Trains the runs that are left, writes the report and prints the verdict."""
    check_no_arguments(arguments)
    from fmnist_jax.compare.runner import compare
    from fmnist_jax.runtime import processes

    summary = compare(_CONFIG.value, _WORKDIR.value, config_file())
    if not processes.is_writer():
        return
    from fmnist_jax.files.reader import WorkdirReader
    from fmnist_jax.report import write_study_report

    report = write_study_report(_WORKDIR.value)
    for workload in WorkdirReader(report.parent, "run the command again").object("summary.json")["workloads"]:
        print(f"{workload['name']}: {' '.join(workload['verdict'])}")
    print(f"finished: {summary['runs']} runs, {summary['diverged']} of them diverged; report: {report}")
