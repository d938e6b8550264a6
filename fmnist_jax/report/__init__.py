"""Plots and self-contained HTML reports, made only from the files in a workdir; needs neither jax nor a device."""

from fmnist_jax.report.run.report import write_evaluation_report, write_run_report
from fmnist_jax.report.study.report import write_study_report

__all__ = ["write_evaluation_report", "write_run_report", "write_study_report"]
