"""The reports of a run, and of the evaluation of its checkpoint on a split."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from fmnist_jax.compare.statistics.estimates import sampling_uncertainty
from fmnist_jax.config.schema import SCHEMA
from fmnist_jax.report.format import count, decimal, duration, percent
from fmnist_jax.report.model import BulletList, Callout, Report, Section, Stat, Stats
from fmnist_jax.report.provenance import (
    config_table,
    data_callouts,
    loss_in_words,
    metric_direction,
    reproducibility_section,
)
from fmnist_jax.report.render import write_report
from fmnist_jax.report.run.augmentation import augmentation_section
from fmnist_jax.report.run.calibration import Reliability, calibration_section, reliability
from fmnist_jax.report.run.confusion import confusion_section
from fmnist_jax.report.run.curves import curves_section
from fmnist_jax.report.run.workdir import MATRIX_FILE, PREDICTIONS_FILE, Evaluation, Run, read_evaluation, read_run
from fmnist_jax.report.theme import Subject
from fmnist_jax.train.workdir import evaluation_path

_PLOTS = ("convergence", "augmentation", "confusion_matrix", "reliability", "mistakes")


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
    summary, diverged = run.summary, run.summary.status == "diverged"
    images, subject = _scored_images(run, summary.scored_split, summary.scored_examples)
    tested = summary.scored_split == "test" and not summary.validation_is_test
    loss, accuracy = (summary.test_loss, summary.test_accuracy) if tested else (summary.val_loss, summary.val_accuracy)
    result = " diverged" if diverged else f": {percent(accuracy)} on {images}"
    validation = "the test set" if summary.validation_is_test else "the held-out training images"
    notes = [
        "Training loss and accuracy are running means over the epoch, in training mode (dropout on, weights changing), "
        "so early in training they lag behind the validation metrics.",
        f"Validation loss and accuracy cover every image of {validation}, after the epoch, with dropout off.",
        "Images per second count training alone, without compilation and evaluation; the headline number is the "
        "median over the epochs.",
    ]
    return Report(
        "training run",
        subject.title(f"{summary.model} with {summary.optimizer}{result}"),
        f"Data set {summary.data}, {count(summary.train_examples)} training images, seed {summary.seed}, "
        f"{summary.epoch} of {summary.epochs} epochs.",
        [
            *([_diverged_callout(run)] if diverged else []),
            *data_callouts(summary.synthetic, summary.validation_is_test),
            Stats(
                [
                    *_scores(run, accuracy, loss, summary.scored_examples, images),
                    *_metric_stats(run, "test" if tested else "val", images),
                    *_training_stats(run),
                ]
            ),
            curves_section(run),
            *_augmentation_sections(run),
            *_sections(run, images, subject, "Training again in a new workdir writes it.", summary.epoch, notes),
        ],
    )


def evaluation_report(evaluation: Evaluation) -> Report:
    """Returns the report of an evaluation."""
    summary = evaluation.summary
    images, subject = _scored_images(evaluation, summary.split, summary.examples)
    stats = [
        *_scores(evaluation, summary.accuracy, summary.loss, summary.examples, images),
        *_metric_stats(evaluation, summary.split, images),
        *_calibration_stats(evaluation),
        Stat("Images", count(summary.examples)),
    ]
    remedy, epoch = "Evaluating it again writes it.", summary.checkpoint_epoch
    return Report(
        "evaluation",
        subject.title(f"{summary.model} with {summary.optimizer}: {percent(summary.accuracy)} on {images}"),
        f"Data set {summary.data}, seed {summary.seed}, the weights after epoch {epoch}.",
        [
            *data_callouts(summary.synthetic, summary.validation_is_test and summary.split != "train"),
            Stats(stats),
            *_sections(evaluation, images, subject, remedy, epoch, []),
        ],
    )


def _augmentation_sections(run: Run) -> Iterator[Section]:
    if run.augmented is not None:
        summary = run.summary
        text = f"{summary.model} with {summary.optimizer}, seed {summary.seed}, training images of {summary.data}"
        subject = Subject(text, summary.synthetic)
        yield augmentation_section(run.augmented, run.description.class_names, run.config, subject)


def _scored_images(run: Run | Evaluation, split: str, examples: int) -> tuple[str, Subject]:
    """Returns the name of the images in a sentence, such as "the test set", and the subtitle of their plots."""
    summary = run.summary
    names = {"train": "the training set", "val": "the validation set", "test": "the test set"}
    images = names["test" if split == "val" and summary.validation_is_test else split]
    text = f"{summary.model} with {summary.optimizer}, seed {summary.seed}, {count(examples)} images of {images}"
    return images, Subject(text, summary.synthetic)


def _diverged_callout(run: Run) -> Callout:
    lost = [r.epoch for r in run.epochs if not (math.isfinite(r.train_loss) and math.isfinite(r.val_loss))]
    when = f"in epoch {lost[0]}" if lost else f"by epoch {run.summary.epoch}"
    text = (
        f"A loss or a parameter became non-finite {when} of {run.summary.epochs}. The metrics are as recorded; count "
        "this run as a failure in a comparison, do not drop it."
    )
    return Callout("error", "DIVERGED.", text)


def _scores(run: Run | Evaluation, accuracy: float, loss: float, examples: int, images: str) -> list[Stat]:
    note = f"mean {loss_in_words(run.config)}"
    return [accuracy_stat(accuracy, examples, images), Stat(f"Loss on {images}", decimal(loss), note)]


def _metric_stats(run: Run | Evaluation, split: str, images: str) -> Iterator[Stat]:
    for key, value in run.summary.metrics.items():
        if key.startswith(f"{split}_"):
            name = key.removeprefix(f"{split}_")
            yield Stat(
                f"{name} on {images}",
                decimal(math.nan if value is None else value),
                metric_direction(run.manifest, key),
            )


def accuracy_stat(accuracy: float, examples: int, images: str) -> Stat:
    """Returns the headline accuracy with its 95 % confidence interval."""
    label = f"Accuracy on {images}"
    if not 0 <= accuracy <= 1:
        return Stat(label, percent(accuracy))
    interval = sampling_uncertainty(accuracy, examples)
    return Stat(label, percent(accuracy), f"95 % CI {percent(interval.low)} to {percent(interval.high)}")


def _training_stats(run: Run) -> Iterator[Stat]:
    summary = run.summary
    if summary.scored_split != "val" and not summary.validation_is_test:
        yield Stat("Validation accuracy", percent(summary.val_accuracy), f"loss {decimal(summary.val_loss)}")
    yield Stat("Training accuracy", percent(summary.train_accuracy), f"loss {decimal(summary.train_loss)}")
    yield from _calibration_stats(run)
    yield Stat("Parameters", count(summary.parameters))
    speed = f"{count(summary.examples_per_second)} images per second; compilation {duration(summary.compile_seconds)}"
    yield Stat("Training time", duration(summary.train_seconds), speed)


def _calibration_stats(run: Run | Evaluation) -> Iterator[Stat]:
    if (found := _calibration(run)) is not None:
        note = f"mean confidence {percent(found.mean_confidence)}"
        yield Stat("Calibration error (ECE)", percent(found.ece), note)


def _calibration(run: Run | Evaluation) -> Reliability | None:
    predictions = run.predictions
    if predictions is None or not predictions.finite:
        return None
    return reliability(predictions.labels, predictions.probabilities)


def _sections(
    run: Run | Evaluation, images: str, subject: Subject, remedy: str, epoch: int, notes: Sequence[str]
) -> Iterator[Section]:
    """Yields the sections that any report has.

    **Arguments:**

    - `images`, `subject`: as `_scored_images` returns them; `remedy`: how to write a missing file again.
    - `epoch`: the one whose weights were evaluated; `notes`: on the method, besides those on the evaluation.
    """
    if run.matrix is None:
        missing = f"{MATRIX_FILE} is missing, so there are no scores of each class. {remedy}"
        yield Section("Confusion matrix", [missing])
    else:
        yield confusion_section(run.matrix, run.description.class_names, images, subject)
    if run.predictions is None:
        missing = f"{PREDICTIONS_FILE} is missing, so there is no calibration and no mistake to show. {remedy}"
        yield Section("Calibration", [missing])
    else:
        yield calibration_section(run.predictions, _calibration(run), run.description.class_names, images, subject)
    resolved: Any = (run.manifest or {}).get("optimizer")
    table = config_table(run.config, SCHEMA, resolved if isinstance(resolved, Mapping) else {})
    yield Section("Hyperparameters", [table, "Keys that are unset and that this optimizer does not use are omitted."])
    yield Section("Method", [BulletList([*notes, *_evaluation_notes(images, epoch)])])
    yield reproducibility_section(run.manifest, "run")


def _evaluation_notes(images: str, epoch: int) -> list[str]:
    return [
        f"Confusions, scores and confidences cover every image of {images}, with dropout off and the weights "
        f"after epoch {epoch} (their moving average if train.ema_decay is set; class probabilities averaged over views "
        "of each image if eval.tta is set).",
        "Precision: the share of the images predicted as a class that belong to it. Recall: the share of the images "
        "of a class that are predicted as it. F1: the harmonic mean of the two. Support: images of the class.",
        "The 95 % CI of the accuracy is Wilson's (1927). It covers the sampling of the images, not the variation "
        "between training seeds.",
        "The expected calibration error (ECE; Guo et al. 2017) is the gap between accuracy and mean confidence in 15 "
        "bins of equal width, averaged over the images.",
    ]
