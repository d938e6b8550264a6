from __future__ import annotations

import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from fmnist_jax.data import FASHION_MNIST
from fmnist_jax.report.run.calibration import reliability
from fmnist_jax.report.run.confusion import class_scores, confused_pairs
from fmnist_jax.report.run.report import accuracy_stat

MATRICES = hnp.arrays(np.int64, (10, 10), elements=st.integers(0, 50))


@given(MATRICES)
def test_class_scores_are_those_counted_image_by_image(matrix):
    true, taken = (axis.repeat(matrix.ravel()) for axis in np.indices((10, 10)).reshape(2, -1))
    scores = class_scores(matrix)
    for label in range(10):
        hits = int(((true == label) & (taken == label)).sum())
        for score, images in ((scores.precision, taken == label), (scores.recall, true == label)):
            expected = hits / images.sum() if images.any() else np.nan
            np.testing.assert_allclose(score[label], expected)
        if hits:
            precision, recall = scores.precision[label], scores.recall[label]
            assert scores.f1[label] == pytest.approx(2 * precision * recall / (precision + recall))
    assert scores.support.sum() == len(true)


def test_scores_of_a_class_without_images_are_undefined_not_zero():
    matrix = np.diag([0] + [5] * 9)
    scores = class_scores(matrix)
    assert np.isnan([scores.precision[0], scores.recall[0], scores.f1[0]]).all()
    assert (scores.f1[1:] == 1).all()


def test_confused_pairs_read_as_sentences_most_frequent_first():
    matrix = np.diag([1000] * 10)
    matrix[6, 0], matrix[6, 6], matrix[4, 2] = 118, 882, 30
    pairs = confused_pairs(matrix, FASHION_MNIST.class_names)
    assert list(map(str, pairs)) == [
        "Shirt predicted as T-shirt/top: 118 of 1000",
        "Coat predicted as Pullover: 30 of 1030",
    ]


@given(MATRICES, st.integers(0, 100))
def test_confused_pairs_leave_out_nothing_more_frequent(matrix, limit):
    counts = [pair.count for pair in confused_pairs(matrix, FASHION_MNIST.class_names, limit)]
    wrong = sorted((int(n) for n in matrix[~np.eye(10, dtype=bool)] if n), reverse=True)
    assert counts == wrong[:limit]


@pytest.mark.parametrize(
    ("hits", "total", "low", "high"),
    [
        (0, 10, "0.00", "27.75"),
        (5, 10, "23.66", "76.34"),
        (10, 10, "72.25", "100.00"),
        (9070, 10_000, "90.12", "91.25"),
    ],
)
def test_the_interval_of_an_accuracy_agrees_with_published_tables(hits, total, low, high):
    note = accuracy_stat(hits / total, total, "the test set").note.replace("\N{NO-BREAK SPACE}", " ")
    assert note == f"95 % CI {low} % to {high} %"


def _two_class(confidences):
    """Probabilities that class 0 has with the given confidence, class 1 with the rest."""
    probabilities = np.zeros((len(confidences), 10))
    probabilities[:, 0], probabilities[:, 1] = confidences, 1 - np.asarray(confidences)
    return probabilities


def test_calibration_error_of_a_case_worked_by_hand():
    # Bin (0.6, 0.667]: confidence 0.65, half right, gap 0.15. Bin (0.867, 0.933]: confidence 0.9, all right, gap 0.1.
    found = reliability(np.array([0, 1, 0, 0]), _two_class([0.65, 0.65, 0.9, 0.9]))
    assert found.ece == pytest.approx(0.125)
    assert found.counts.sum() == 4
    assert found.counts[[9, 13]].tolist() == [2, 2]
    assert (found.mean_confidence, found.mean_accuracy) == (pytest.approx(0.775), 0.75)


def test_a_network_that_is_as_sure_as_it_is_right_has_no_calibration_error():
    labels = np.array([0] * 8 + [1] * 2)
    assert reliability(labels, _two_class([0.8] * 10)).ece == pytest.approx(0)


def test_full_confidence_belongs_to_the_last_bin():
    found = reliability(np.array([0, 1]), _two_class([1.0, 1.0]))
    assert found.counts.tolist() == [0] * 14 + [2]
    assert found.ece == 0.5
    assert np.isnan(found.accuracy[:14]).all()
