"""The reports of a run, and of the evaluation of its checkpoint on a split."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fmnist_jax.config.schema import SCHEMA
from fmnist_jax.report.format import count, decimal, duration, percent
from fmnist_jax.report.model import BulletList, Callout, Columns, Picture, Report, Section, Stat, Stats, Table
from fmnist_jax.report.plot_style import Subject
from fmnist_jax.report.provenance import config_table, data_callouts, reproducibility_section
from fmnist_jax.report.render import write_report
from fmnist_jax.report.run import plots
from fmnist_jax.report.run.sections import (
    EvaluatedSplit,
    accuracy_stat,
    calibration_section,
    calibration_stats,
    confusion_section,
    evaluation_notes,
    split_name,
)
from fmnist_jax.report.run.workdir import (
    Evaluation,
    EvaluationSummary,
    Run,
    RunSummary,
    read_evaluation,
    read_run,
)
from fmnist_jax.train.workdir import evaluation_path

_PLOTS = ("convergence", "confusion_matrix", "reliability", "mistakes")
_EPOCH_HEADER = ["Epoch", "Train loss", "Train accuracy", "Val loss", "Val accuracy"]


def write_run_report(workdir: str | os.PathLike[str]) -> Path:
    """Writes `plots/*.png`, `report.md` and `report.html` of a run into its workdir; returns the path of the last.

    Reads only the files of the workdir. Raises `WorkdirError` where a required file is missing or damaged; the report
    names the optional files that are missing.
    """
    folder = Path(workdir)
    return write_report(folder, run_report(read_run(folder)), _PLOTS)


def write_evaluation_report(workdir: str | os.PathLike[str], split: str, checkpoint: str = "last") -> Path:
    """Writes the plots and the report of an evaluation beside its files; else as `write_run_report`.

    `split` and `checkpoint` are those of `fmnist_jax.train.evaluation.evaluate`.
    """
    evaluation = read_evaluation(Path(workdir), split, checkpoint)
    return write_report(evaluation_path(Path(workdir), split, checkpoint), evaluation_report(evaluation), _PLOTS)


def run_report(run: Run) -> Report:
    """Returns the report of a run."""
    summary = run.summary
    images = split_name(summary.scored_split, summary.validation_is_test)
    subject = _subject(summary, summary.scored_examples, images)
    split = EvaluatedSplit(run.files, images, subject, "Training again in a new workdir writes it.")
    loss, accuracy = _scored_metrics(summary)
    diverged = summary.status == "diverged"
    result = " diverged" if diverged else f": {percent(accuracy)} on {images}"
    return Report(
        "training run",
        subject.title(f"{summary.model} with {summary.optimizer}{result}"),
        f"Data set {summary.data}, {count(summary.train_examples)} training images, seed {summary.seed}, "
        f"{summary.epoch} of {summary.epochs} epochs.",
        [
            *([_diverged_callout(run)] if diverged else []),
            *data_callouts(summary.synthetic, summary.validation_is_test),
            Stats([accuracy_stat(accuracy, summary.scored_examples, images), *_run_stats(summary, loss, split)]),
            _curves_section(run),
            confusion_section(split),
            calibration_section(split),
            _hyperparameters_section(run),
            Section("Method", [BulletList(_training_notes(summary) + evaluation_notes(split, summary.epoch))]),
            reproducibility_section(run.manifest, "run"),
        ],
    )


def evaluation_report(evaluation: Evaluation) -> Report:
    """Returns the report of an evaluation."""
    summary = evaluation.summary
    images = split_name(summary.split, summary.validation_is_test)
    subject = _subject(summary, summary.examples, images)
    split = EvaluatedSplit(evaluation.files, images, subject, "Running scripts/evaluate.py again writes it.")
    stats = [
        accuracy_stat(summary.accuracy, summary.examples, images),
        Stat(f"Loss on {images}", decimal(summary.loss), "mean cross-entropy"),
        *calibration_stats(split),
        Stat("Images", count(summary.examples)),
    ]
    return Report(
        "evaluation",
        subject.title(f"{summary.model} with {summary.optimizer}: {percent(summary.accuracy)} on {images}"),
        f"Data set {summary.data}, seed {summary.seed}, the weights after epoch {summary.checkpoint_epoch}.",
        [
            *data_callouts(summary.synthetic, summary.validation_is_test and summary.split != "train"),
            Stats(stats),
            confusion_section(split),
            calibration_section(split),
            _hyperparameters_section(evaluation),
            Section("Method", [BulletList(evaluation_notes(split, summary.checkpoint_epoch))]),
            reproducibility_section(evaluation.manifest, "run"),
        ],
    )


def _subject(summary: RunSummary | EvaluationSummary, examples: int, images: str) -> Subject:
    text = f"{summary.model} with {summary.optimizer}, seed {summary.seed}, {count(examples)} images of {images}"
    return Subject(text, summary.synthetic)


def _scored_metrics(summary: RunSummary) -> tuple[float, float]:
    """Returns loss and accuracy on the scored split."""
    if summary.scored_split == "test" and not summary.validation_is_test:
        return summary.test_loss, summary.test_accuracy
    return summary.val_loss, summary.val_accuracy


def _diverged_callout(run: Run) -> Callout:
    lost = [r.epoch for r in run.epochs if not (math.isfinite(r.train_loss) and math.isfinite(r.val_loss))]
    when = f"in epoch {lost[0]}" if lost else f"by epoch {run.summary.epoch}"
    text = (
        f"A loss or a parameter became non-finite {when} of {run.summary.epochs}. The metrics are as recorded; count "
        "this run as a failure in a comparison, do not drop it."
    )
    return Callout("error", "DIVERGED.", text)


def _run_stats(summary: RunSummary, loss: float, split: EvaluatedSplit) -> Iterator[Stat]:
    yield Stat(f"Loss on {split.images}", decimal(loss), "mean cross-entropy")
    if summary.scored_split != "val" and not summary.validation_is_test:
        yield Stat("Validation accuracy", percent(summary.val_accuracy), f"loss {decimal(summary.val_loss)}")
    yield Stat("Training accuracy", percent(summary.train_accuracy), f"loss {decimal(summary.train_loss)}")
    yield from calibration_stats(split)
    yield Stat("Parameters", count(summary.parameters))
    speed = f"{count(summary.examples_per_second)} images per second; compilation {duration(summary.compile_seconds)}"
    yield Stat("Training time", duration(summary.train_seconds), speed)


def _curves_section(run: Run) -> Section:
    rows = [
        [str(r.epoch), decimal(r.train_loss), percent(r.train_accuracy), decimal(r.val_loss), percent(r.val_accuracy)]
        for r in run.epochs
    ]
    table = Table("Metrics of each epoch", _EPOCH_HEADER, rows)
    return Section("Learning curves", [Columns([[_convergence_picture(run)], [table]])])


def _convergence_picture(run: Run) -> Picture:
    summary = run.summary
    validation = "validation (the test set)" if summary.validation_is_test else "validation"
    who = f"{summary.model} with {summary.optimizer}, seed {summary.seed}"
    return Picture(
        "convergence",
        plots.convergence(run.epochs, validation, Subject(who, summary.synthetic)),
        f"Loss and accuracy against epochs. After epoch {summary.epoch}: training loss {decimal(summary.train_loss)}, "
        f"accuracy {percent(summary.train_accuracy)}; validation loss {decimal(summary.val_loss)}, "
        f"accuracy {percent(summary.val_accuracy)}.",
        "Training: running means over the epoch, in training mode. Validation: after the epoch, with dropout off. "
        "Non-finite values are gaps.",
    )


def _hyperparameters_section(source: Run | Evaluation) -> Section:
    resolved: Any = (source.manifest or {}).get("optimizer")
    table = config_table(source.config, SCHEMA, resolved if isinstance(resolved, Mapping) else {})
    return Section("Hyperparameters", [table, "Keys that are unset and that this optimizer does not use are omitted."])


def _training_notes(summary: RunSummary) -> list[str]:
    validation = "the test set" if summary.validation_is_test else "the held-out training images"
    return [
        "Training loss and accuracy are running means over the epoch, in training mode (dropout on, weights changing), "
        "so early in training they lag behind the validation metrics.",
        f"Validation loss and accuracy cover every image of {validation}, after the epoch, with dropout off.",
        "Images per second count training alone, without compilation and evaluation; the headline number is the "
        "median over the epochs.",
    ]
