"""The report of one run: its plots and its page."""

from __future__ import annotations

import math
from collections.abc import Mapping

from fmnist_jax.report.markup import Markup, element
from fmnist_jax.report.page import Figure, Picture, banner, beside, headline, page, picture, section, table
from fmnist_jax.report.record_parts import data_banners, hyperparameters_section, notes_section, provenance_section
from fmnist_jax.report.run import plots
from fmnist_jax.report.run.scored_parts import (
    ScoredSplit,
    accuracy_figure,
    calibration_figures,
    confidence_section,
    confusion_section,
    draw_pictures,
    scored_notes,
    split_in_words,
)
from fmnist_jax.report.run.workdir import Epoch, Run, RunSummary
from fmnist_jax.report.style import Subject
from fmnist_jax.report.wording import count, decimal, duration, percent

_EPOCH_HEADER = [
    "Epoch",
    "Train loss",
    "Train accuracy",
    "Val loss",
    "Val accuracy",
]


def draw_run(run: Run) -> dict[str, Picture]:
    """Returns the plots of a run, by the names of their files."""
    return {"convergence": _convergence_picture(run)} | draw_pictures(_scored_split(run))


def run_page(run: Run, pictures: Mapping[str, Picture]) -> str:
    """Returns the HTML of a run's report, with the plots of `draw_run` in it."""
    summary, split = run.summary, _scored_split(run)
    title = split.subject.title(_title(run))
    return page(
        title,
        element("p", "fmnist_jax, report of a run", class_="eyebrow"),
        element("h1", title),
        element("p", _lead(summary), class_="lead"),
        _status_banner(run),
        data_banners(summary.synthetic, summary.validation_is_test),
        headline(_headline_figures(summary, split)),
        _training_section(run, pictures["convergence"]),
        confusion_section(split, pictures),
        confidence_section(split, pictures),
        hyperparameters_section(run.config, run.manifest),
        notes_section(_training_notes(summary) + scored_notes(split, summary.epoch)),
        provenance_section(run.manifest),
    )


def _scored_split(run: Run) -> ScoredSplit:
    summary = run.summary
    images = split_in_words(summary.scored_split, summary.validation_is_test)
    text = f"{_who(summary)}, {count(summary.scored_examples)} images of {images}"
    remake = "Training again in a new workdir writes it."
    return ScoredSplit(run.scored, images, Subject(text, summary.synthetic), remake)


def _who(summary: RunSummary) -> str:
    return f"{summary.model} with {summary.optimizer}, seed {summary.seed}"


def _scored_figures(summary: RunSummary) -> tuple[float, float]:
    """Returns loss and accuracy on the scored split."""
    if summary.scored_split == "test" and not summary.validation_is_test:
        return summary.test_loss, summary.test_accuracy
    return summary.val_loss, summary.val_accuracy


def _title(run: Run) -> str:
    summary = run.summary
    what = f"{summary.model} with {summary.optimizer}"
    if summary.status == "diverged":
        return f"{what} diverged"
    images = split_in_words(summary.scored_split, summary.validation_is_test)
    return f"{what}: {percent(_scored_figures(summary)[1])} on {images}"


def _lead(summary: RunSummary) -> str:
    return (
        f"Data set {summary.data}, {count(summary.train_examples)} training images, seed {summary.seed}, "
        f"{summary.epoch} of {summary.epochs} epochs."
    )


def _status_banner(run: Run) -> Markup | str:
    if run.summary.status != "diverged":
        return ""
    lost = [r.epoch for r in run.epochs if not (math.isfinite(r.train_loss) and math.isfinite(r.val_loss))]
    when = f"in epoch {lost[0]}" if lost else f"by epoch {run.summary.epoch}"
    text = (
        f"A loss or a parameter stopped being finite {when} of {run.summary.epochs}. The figures stand as they were "
        "recorded; count this run, do not drop it, when you compare."
    )
    return banner("bad", "DIVERGED.", text)


def _headline_figures(summary: RunSummary, split: ScoredSplit) -> list[Figure]:
    loss, accuracy = _scored_figures(summary)
    figures = [
        accuracy_figure(accuracy, summary.scored_examples, split.images),
        Figure(f"Loss on {split.images}", decimal(loss), "mean cross-entropy"),
    ]
    if summary.scored_split != "val" and not summary.validation_is_test:
        note = f"loss {decimal(summary.val_loss)}"
        figures.append(Figure("Validation accuracy", percent(summary.val_accuracy), note))
    training = Figure("Training accuracy", percent(summary.train_accuracy), f"loss {decimal(summary.train_loss)}")
    speed = f"{count(summary.examples_per_second)} images per second; compilation {duration(summary.compile_seconds)}"
    return [
        *figures,
        training,
        *calibration_figures(split),
        Figure("Parameters", count(summary.parameters)),
        Figure("Training time", duration(summary.train_seconds), speed),
    ]


def _training_section(run: Run, convergence: Picture) -> Markup:
    rows = [_epoch_row(record) for record in run.epochs]
    figures = table("Figures of each epoch", _EPOCH_HEADER, rows, numbers=True)
    return section("How it learned", beside(picture(convergence), figures))


def _epoch_row(record: Epoch) -> list[str]:
    return [
        str(record.epoch),
        decimal(record.train_loss),
        percent(record.train_accuracy),
        decimal(record.val_loss),
        percent(record.val_accuracy),
    ]


def _convergence_picture(run: Run) -> Picture:
    summary = run.summary
    validation = "validation (the test set)" if summary.validation_is_test else "validation"
    return Picture(
        "convergence",
        plots.convergence(run.epochs, validation, Subject(_who(summary), summary.synthetic)),
        f"Loss and accuracy against epochs. After epoch {summary.epoch}: training loss {decimal(summary.train_loss)}, "
        f"accuracy {percent(summary.train_accuracy)}; validation loss {decimal(summary.val_loss)}, "
        f"accuracy {percent(summary.val_accuracy)}.",
        "Training: running means over the epoch, in training mode. Validation: after the epoch, dropout off. "
        "Values that are not finite are gaps.",
    )


def _training_notes(summary: RunSummary) -> list[str]:
    validation = "the test set" if summary.validation_is_test else "the held-out training images"
    return [
        "Training loss and accuracy are running means over the epoch, in training mode (dropout on, the weights "
        "changing), so early on they lie behind the validation figures.",
        f"Validation loss and accuracy are of every image of {validation}, after the epoch, dropout off.",
        "Images per second are over training alone, without compilation and evaluation; the headline figure is the "
        "median over the epochs.",
    ]
