"""Scores a checkpoint of a trained network on every image of a split, and writes plots and a report.

fmnist-jax evaluate --workdir=runs/model3 [--split=test] [--checkpoint=last]

Writes evaluations/<split>/ in the workdir; for another checkpoint than the last evaluations/<split>-best/ or
evaluations/<split>-epoch3/.
"""

from __future__ import annotations

from collections.abc import Sequence

from absl import flags

from fmnist_jax.cli.flags import check_no_arguments, define_trained_run

_WORKDIR, _CHECKPOINT, _CONFIG = define_trained_run()
_SPLIT = flags.DEFINE_string("split", "test", "train, val or test.")


def main(arguments: Sequence[str]) -> None:
    """Evaluates, then writes the report."""
    check_no_arguments(arguments)
    from fmnist_jax.errors import WorkdirError
    from fmnist_jax.report import write_evaluation_report
    from fmnist_jax.train.evaluation import evaluate

    summary = evaluate(_WORKDIR.value, _SPLIT.value, _CHECKPOINT.value, _CONFIG.value)
    try:
        report = f"report: {write_evaluation_report(_WORKDIR.value, _SPLIT.value, _CHECKPOINT.value)}"
    except WorkdirError as error:
        report = f"no report ({error})"
    mark = "SYNTHETIC data, " if summary["synthetic"] else ""
    loss = "not finite" if summary["loss"] is None else f"{summary['loss']:.4f}"
    print(
        f"{mark}{summary['split']}: accuracy {summary['accuracy']:.2%}, loss {loss} "
        f"on {summary['examples']:,} images, after epoch {summary['checkpoint_epoch']}; {report}"
    )
