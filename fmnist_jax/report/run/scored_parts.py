"""The parts of a report that tell how the images of a split were classified: confusions, classes, calibration."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping

import numpy as np

from fmnist_jax.compare.statistics.estimates import sampling_uncertainty
from fmnist_jax.data.dataset import CLASS_NAMES
from fmnist_jax.report.markup import Markup, element, join
from fmnist_jax.report.page import Figure, Picture, beside, bullets, paragraphs, picture, section, table
from fmnist_jax.report.run import plots
from fmnist_jax.report.run.classification import (
    Reliability,
    class_scores,
    confused_pairs,
    reliability,
)
from fmnist_jax.report.run.scored import MATRIX_FILE, PREDICTIONS_FILE, Predictions, Scored
from fmnist_jax.report.style import Subject
from fmnist_jax.report.wording import count, percent, probability


@dataclasses.dataclass(frozen=True)
class ScoredSplit:
    """The classification of a split's images.

    **Attributes:**

    - `scored`: what the files say of it; `images`: the split in words, as "the test set".
    - `subject`: what the plots say they are of.
    - `remake`: the sentence that says how to make a file that is missing.
    """

    scored: Scored
    images: str
    subject: Subject
    remake: str

    @property
    def calibration(self) -> Reliability | None:
        """Confidence against accuracy, where there are finite predictions."""
        predictions = self.scored.predictions
        if predictions is None or not predictions.finite:
            return None
        return reliability(predictions.labels, predictions.probabilities)


def split_in_words(split: str, validation_is_test: bool) -> str:
    """Returns "the test set" for `"test"`, and for `"val"` too where it is the same images."""
    if split == "val" and validation_is_test:
        return "the test set"
    return {"train": "the training set", "val": "the validation set", "test": "the test set"}[split]


def draw_pictures(split: ScoredSplit) -> dict[str, Picture]:
    """Returns the plots that the files allow, by the names of their files."""
    return {drawn.name: drawn for drawn in _pictures(split)}


def confusion_section(split: ScoredSplit, pictures: Mapping[str, Picture]) -> Markup:
    """Returns the confusion matrix, the most frequent confusions in words, and the scores of each class."""
    title, matrix = "Which classes it confuses", split.scored.matrix
    if matrix is None:
        missing = f"{MATRIX_FILE} is missing, so there are no confusions and no scores of each class. {split.remake}"
        return section(title, paragraphs(missing))
    pairs = confused_pairs(matrix)
    none = f"No image of {split.images} was taken for another class."
    words = join(
        element("h3", "Most frequent confusions"),
        bullets(pairs) if pairs else paragraphs(none),
        element("h3", "Each class"),
        _class_table(matrix),
    )
    return section(title, beside(picture(pictures["confusion_matrix"]), words))


def confidence_section(split: ScoredSplit, pictures: Mapping[str, Picture]) -> Markup:
    """Returns the reliability diagram and the most confident mistakes, or why there are none."""
    title = "How far its confidence can be trusted"
    predictions = split.scored.predictions
    if predictions is None:
        missing = f"{PREDICTIONS_FILE} is missing, so there is no calibration and no mistake to show. {split.remake}"
        return section(title, paragraphs(missing))
    if not predictions.finite:
        return section(title, paragraphs("Some predicted probabilities are not finite, so there is no calibration."))
    gallery = pictures.get("mistakes")
    mistakes = picture(gallery) if gallery else paragraphs(f"No picture of a mistake was saved for {split.images}.")
    return section(title, beside(picture(pictures["reliability"]), mistakes))


def accuracy_figure(accuracy: float, examples: int, images: str) -> Figure:
    """Returns the headline figure of an accuracy, with its 95 % CI."""
    label = f"Accuracy on {images}"
    if not 0 <= accuracy <= 1:
        return Figure(label, percent(accuracy))
    interval = sampling_uncertainty(accuracy, examples)
    return Figure(label, percent(accuracy), f"95 % CI {percent(interval.low)} to {percent(interval.high)}")


def calibration_figures(split: ScoredSplit) -> list[Figure]:
    """Returns the headline figure of the calibration, where there is one."""
    found = split.calibration
    if found is None:
        return []
    return [Figure("Calibration error (ECE)", percent(found.ece), f"mean confidence {percent(found.mean_confidence)}")]


def scored_notes(split: ScoredSplit, epoch: int) -> list[str]:
    """Returns how the figures of the classification by the weights after `epoch` were computed, in sentences."""
    return [
        f"Confusions, scores and confidences are of every image of {split.images}, dropout off, with the weights "
        f"after epoch {epoch} (with train.ema_decay, their moving average).",
        "Precision: of the images taken for a class, the share that is of it. Recall: of the images of a class, the "
        "share taken for it. F1: their harmonic mean. Support: images of the class.",
        "The 95 % CI is Wilson's (1927). It covers the chance of drawing these images, not that of training "
        "with another seed.",
        "The expected calibration error (ECE) is that of Guo et al. (2017): the gap between accuracy and mean "
        "confidence in 15 bins of equal width, averaged over the images.",
    ]


def _pictures(split: ScoredSplit) -> Iterator[Picture]:
    matrix, predictions, calibration = split.scored.matrix, split.scored.predictions, split.calibration
    if matrix is not None:
        yield _matrix_picture(matrix, split)
    if predictions is not None and calibration is not None:
        yield _reliability_picture(calibration, split)
        if predictions.mistake_index.size:
            yield _mistakes_picture(predictions, split)


def _matrix_picture(matrix: np.ndarray, split: ScoredSplit) -> Picture:
    hits, total = int(np.trace(matrix)), int(matrix.sum())
    worst = "".join(f" Most frequent confusion: {pair}." for pair in confused_pairs(matrix, limit=1))
    return Picture(
        "confusion_matrix",
        plots.confusion_matrix(matrix, split.subject),
        f"Confusion matrix of {split.images}: {count(hits)} of {count(total)} images on the diagonal.{worst}",
        "A row is a true class, a column what its images were taken for; on the diagonal they were taken for what "
        "they are. The colour is the share of the row, on a square-root scale.",
    )


def _reliability_picture(found: Reliability, split: ScoredSplit) -> Picture:
    totals = f"mean confidence {percent(found.mean_confidence)}, accuracy {percent(found.mean_accuracy)}"
    return Picture(
        "reliability",
        plots.reliability_diagram(found, split.subject),
        f"Reliability diagram of {split.images}: expected calibration error {percent(found.ece)}, {totals}.",
        "Where the confidence is right, the blue bars end at the dashed line. Hatched above a bar: the network is "
        "surer than it is right; hatched inside it: less sure. Below, how many images have which confidence "
        "(a logarithmic scale); a bar of few images says little.",
    )


def _mistakes_picture(predictions: Predictions, split: ScoredSplit) -> Picture:
    first = int(predictions.mistake_index[0])
    row = predictions.probabilities[first]
    true, taken = CLASS_NAMES[predictions.labels[first]], CLASS_NAMES[row.argmax()]
    number = len(predictions.mistake_index)
    return Picture(
        "mistakes",
        plots.mistakes(predictions, split.subject),
        f"{number} misclassified images of {split.images}; first {true}, taken for {taken} with "
        f"{probability(float(row.max()))}.",
        f"The {number} mistakes of which the network was surest: the true class, what it was taken for, and the "
        "probability that the network gave to that.",
    )


def _class_table(matrix: np.ndarray) -> Markup:
    scores = class_scores(matrix)
    shares = np.stack([scores.precision, scores.recall, scores.f1])
    columns = [*shares.T, shares.mean(axis=1)]
    names, supports = [*CLASS_NAMES, "Mean"], [*scores.support, scores.support.sum()]
    rows = [
        [name, *map(_share, column), str(support)]
        for name, column, support in zip(names, columns, supports, strict=True)
    ]
    return table("Scores of each class", ["Class", "Precision", "Recall", "F1", "Support"], rows, numbers=True)


def _share(value: float) -> str:
    return "undefined" if np.isnan(value) else percent(value, 1)
