"""Writes the report of a run or a study again, from the files of its workdir.

fmnist-jax report --workdir=runs/model3
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fmnist_jax.cli.flags import check_no_arguments, define_workdir

NEEDS_JAX = False

_WORKDIR = define_workdir("Folder of the run or study.")


def main(arguments: Sequence[str]) -> None:
    """Writes the report and prints its path."""
    check_no_arguments(arguments)
    from fmnist_jax.report import write_run_report, write_study_report
    from fmnist_jax.train.workdir import reader_of

    is_study = "study" in reader_of(Path(_WORKDIR.value)).object("config.json")
    print((write_study_report if is_study else write_run_report)(_WORKDIR.value))
