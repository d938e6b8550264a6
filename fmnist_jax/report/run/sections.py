"""The sections of a report that show how the images of a split were classified: confusions, classes, calibration."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np

from fmnist_jax.compare.statistics.estimates import sampling_uncertainty
from fmnist_jax.data.dataset import CLASS_NAMES
from fmnist_jax.report.format import count, percent, probability
from fmnist_jax.report.model import BulletList, Columns, Picture, Section, Stat, Table
from fmnist_jax.report.plot_style import Subject
from fmnist_jax.report.run import plots
from fmnist_jax.report.run.classification import (
    MATRIX_FILE,
    PREDICTIONS_FILE,
    EvaluationFiles,
    Predictions,
    Reliability,
    class_scores,
    confused_pairs,
    reliability,
)


@dataclasses.dataclass(frozen=True)
class EvaluatedSplit:
    """The classification of a split's images.

    **Attributes:**

    - `files`: what was read from the workdir; `images`: the split's name in a sentence, such as "the test set".
    - `subject`: the subtitle of the plots.
    - `remedy`: the sentence that says how to write a missing file again.
    """

    files: EvaluationFiles
    images: str
    subject: Subject
    remedy: str

    @property
    def calibration(self) -> Reliability | None:
        """Accuracy against confidence, where there are finite predictions."""
        predictions = self.files.predictions
        if predictions is None or not predictions.finite:
            return None
        return reliability(predictions.labels, predictions.probabilities)


def split_name(split: str, validation_is_test: bool) -> str:
    """Returns "the test set" for `"test"`, and for `"val"` too where it is the same images."""
    if split == "val" and validation_is_test:
        return "the test set"
    return {"train": "the training set", "val": "the validation set", "test": "the test set"}[split]


def confusion_section(split: EvaluatedSplit) -> Section:
    """Returns the confusion matrix, the most frequent confusions, and the scores of each class."""
    title, matrix = "Confusion matrix", split.files.matrix
    if matrix is None:
        return Section(title, [f"{MATRIX_FILE} is missing, so there are no scores of each class. {split.remedy}"])
    pairs = [str(pair) for pair in confused_pairs(matrix)]
    confusions = BulletList(pairs) if pairs else f"No image of {split.images} was misclassified."
    scores = [
        Section("Most frequent confusions", [confusions]),
        Section("Scores of each class", [_class_table(matrix)]),
    ]
    return Section(title, [Columns([[_matrix_picture(matrix, split)], scores])])


def calibration_section(split: EvaluatedSplit) -> Section:
    """Returns the reliability diagram and the most confident mistakes, or why there are none."""
    title, predictions, found = "Calibration", split.files.predictions, split.calibration
    if predictions is None:
        missing = f"{PREDICTIONS_FILE} is missing, so there is no calibration and no mistake to show. {split.remedy}"
        return Section(title, [missing])
    if found is None:
        return Section(title, ["Some predicted probabilities are not finite, so there is no calibration."])
    none = f"The workdir holds no picture of a mistake on {split.images}."
    mistakes = _mistakes_picture(predictions, split) if predictions.mistake_index.size else none
    return Section(title, [Columns([[_reliability_picture(found, split)], [mistakes]])])


def accuracy_stat(accuracy: float, examples: int, images: str) -> Stat:
    """Returns the headline accuracy with its 95 % confidence interval."""
    label = f"Accuracy on {images}"
    if not 0 <= accuracy <= 1:
        return Stat(label, percent(accuracy))
    interval = sampling_uncertainty(accuracy, examples)
    return Stat(label, percent(accuracy), f"95 % CI {percent(interval.low)} to {percent(interval.high)}")


def calibration_stats(split: EvaluatedSplit) -> Iterator[Stat]:
    """Yields the headline calibration error, where there is one."""
    if (found := split.calibration) is not None:
        note = f"mean confidence {percent(found.mean_confidence)}"
        yield Stat("Calibration error (ECE)", percent(found.ece), note)


def evaluation_notes(split: EvaluatedSplit, epoch: int) -> list[str]:
    """Returns how the classification was computed, by the weights after `epoch`."""
    return [
        f"Confusions, scores and confidences cover every image of {split.images}, with dropout off and the weights "
        f"after epoch {epoch} (their moving average if train.ema_decay is set).",
        "Precision: the share of the images predicted as a class that belong to it. Recall: the share of the images "
        "of a class that are predicted as it. F1: the harmonic mean of the two. Support: images of the class.",
        "The 95 % CI of the accuracy is Wilson's (1927). It covers the sampling of the images, not the variation "
        "between training seeds.",
        "The expected calibration error (ECE; Guo et al. 2017) is the gap between accuracy and mean confidence in 15 "
        "bins of equal width, averaged over the images.",
    ]


def _matrix_picture(matrix: np.ndarray, split: EvaluatedSplit) -> Picture:
    hits, total = int(np.trace(matrix)), int(matrix.sum())
    worst = "".join(f" Most frequent confusion: {pair}." for pair in confused_pairs(matrix, limit=1))
    return Picture(
        "confusion_matrix",
        plots.confusion_matrix(matrix, split.subject),
        f"Confusion matrix of {split.images}: {count(hits)} of {count(total)} images on the diagonal.{worst}",
        "Rows are true classes, columns predicted classes. Colour shows the share of the row, on a square-root scale.",
    )


def _reliability_picture(found: Reliability, split: EvaluatedSplit) -> Picture:
    totals = f"mean confidence {percent(found.mean_confidence)}, accuracy {percent(found.mean_accuracy)}"
    return Picture(
        "reliability",
        plots.reliability_diagram(found, split.subject),
        f"Reliability diagram of {split.images}: expected calibration error {percent(found.ece)}, {totals}.",
        "The blue bars of a calibrated network end at the dashed line. Hatching above a bar shows overconfidence, "
        "hatching inside it underconfidence. The histogram counts the images on a logarithmic scale; bins with few "
        "images are noisy.",
    )


def _mistakes_picture(predictions: Predictions, split: EvaluatedSplit) -> Picture:
    first, number = int(predictions.mistake_index[0]), len(predictions.mistake_index)
    row = predictions.probabilities[first]
    true, predicted = CLASS_NAMES[predictions.labels[first]], CLASS_NAMES[row.argmax()]
    return Picture(
        "mistakes",
        plots.mistakes(predictions, split.subject),
        f"{number} misclassified images of {split.images}; first {true}, predicted as {predicted} with "
        f"{probability(float(row.max()))}.",
        f"The {number} most confident mistakes: the true class, the predicted class and its probability.",
    )


def _class_table(matrix: np.ndarray) -> Table:
    scores = class_scores(matrix)
    shares = np.stack([scores.precision, scores.recall, scores.f1])
    columns = [*shares.T, shares.mean(axis=1)]
    names, supports = [*CLASS_NAMES, "Mean"], [*scores.support, scores.support.sum()]
    rows = [
        [name, *map(_share, column), str(support)]
        for name, column, support in zip(names, columns, supports, strict=True)
    ]
    return Table("Scores of each class", ["Class", "Precision", "Recall", "F1", "Support"], rows)


def _share(value: float) -> str:
    return "undefined" if np.isnan(value) else percent(value, 1)
