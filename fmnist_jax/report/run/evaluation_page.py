"""The report of a checkpoint's evaluation on one split: its plots and its page."""

from __future__ import annotations

from collections.abc import Mapping

from fmnist_jax.report.markup import element
from fmnist_jax.report.page import Figure, Picture, headline, page
from fmnist_jax.report.record_parts import data_banners, hyperparameters_section, notes_section, provenance_section
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
from fmnist_jax.report.run.workdir import Evaluation
from fmnist_jax.report.style import Subject
from fmnist_jax.report.wording import count, decimal, percent


def draw_evaluation(evaluation: Evaluation) -> dict[str, Picture]:
    """Returns the plots of an evaluation, by the names of their files."""
    return draw_pictures(_scored_split(evaluation))


def evaluation_page(evaluation: Evaluation, pictures: Mapping[str, Picture]) -> str:
    """Returns the HTML of an evaluation's report, with the plots of `draw_evaluation` in it."""
    summary, split = evaluation.summary, _scored_split(evaluation)
    title = f"{summary.model} with {summary.optimizer}: {percent(summary.accuracy)} on {split.images}"
    title = split.subject.title(title)
    lead = f"Data set {summary.data}, seed {summary.seed}, the weights after epoch {summary.checkpoint_epoch}."
    return page(
        title,
        element("p", "fmnist_jax, report of an evaluation", class_="eyebrow"),
        element("h1", title),
        element("p", lead, class_="lead"),
        data_banners(summary.synthetic, summary.validation_is_test and summary.split != "train"),
        headline(_headline_figures(evaluation, split)),
        confusion_section(split, pictures),
        confidence_section(split, pictures),
        hyperparameters_section(evaluation.config, evaluation.manifest),
        notes_section(scored_notes(split, summary.checkpoint_epoch)),
        provenance_section(evaluation.manifest),
    )


def _scored_split(evaluation: Evaluation) -> ScoredSplit:
    summary = evaluation.summary
    images = split_in_words(summary.split, summary.validation_is_test)
    who = f"{summary.model} with {summary.optimizer}, seed {summary.seed}"
    text = f"{who}, {count(summary.examples)} images of {images}"
    remake = "Running scripts/evaluate.py on the workdir again writes it."
    return ScoredSplit(evaluation.scored, images, Subject(text, summary.synthetic), remake)


def _headline_figures(evaluation: Evaluation, split: ScoredSplit) -> list[Figure]:
    summary = evaluation.summary
    return [
        accuracy_figure(summary.accuracy, summary.examples, split.images),
        Figure(f"Loss on {split.images}", decimal(summary.loss), "mean cross-entropy"),
        *calibration_figures(split),
        Figure("Images", count(summary.examples)),
    ]
