from __future__ import annotations

import dataclasses
import io
import math

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image

from fmnist_jax.data import FASHION_MNIST
from fmnist_jax.report.run import calibration, confusion, curves
from fmnist_jax.report.run.calibration import reliability
from fmnist_jax.report.run.workdir import Epoch, Predictions
from fmnist_jax.report.theme import Subject, new_figure

SUBJECT = Subject("model3 with rmsprop, seed 0", synthetic=False)
IMAGES = "the test set"
CLASSES = FASHION_MNIST.class_names
BLUE, VERMILION = (0, 114, 178), (213, 94, 0)


def _epochs(losses: list[float]) -> list[Epoch]:
    return [Epoch(i, loss, 0.8, loss + 0.1, 0.7) for i, loss in enumerate(losses, start=1)]


def _pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


def _has_colour(png: bytes, colour: tuple[int, int, int]) -> np.ndarray:
    """Returns which pixels are of the colour, but for the rounding of the palette."""
    return np.abs(_pixels(png) - colour).max(axis=2) <= 8


def _predictions(mistakes: int) -> Predictions:
    labels = np.repeat(np.arange(10, dtype=np.uint8), 3)
    probabilities = np.full((30, 10), 0.02, np.float32)
    probabilities[np.arange(30), (labels + 1) % 10] = 0.82
    images = np.zeros((mistakes, 28, 28), np.uint8)
    images[:, 4:24, 8:20] = 200
    return Predictions(labels, probabilities, np.arange(mistakes, dtype=np.int32), images)


@pytest.mark.parametrize(
    "losses",
    [
        [0.5],
        [0.5, 0.4],
        [0.5, math.nan, 0.4],
        [math.nan],
        [math.nan] * 3,
        [0.5, 1e38],
        [0.0, 0.0],
        list(np.linspace(0.6, 0.1, 300)),
    ],
    ids=["one epoch", "two", "a gap", "diverged at once", "all lost", "explodes", "zero", "long"],
)
def test_convergence_of_any_run(losses):
    png = curves.convergence(_epochs(losses), "validation", SUBJECT).png
    assert png.startswith(b"\x89PNG")
    # Both accuracies are finite in every case, so both curves are in the lower half.
    lower = slice(_pixels(png).shape[0] // 2, None)
    assert _has_colour(png, BLUE)[lower].any()
    assert _has_colour(png, VERMILION)[lower].any()


def test_a_lost_value_is_a_gap_in_the_curve():
    whole = curves.convergence(_epochs([0.3] * 9), "validation", SUBJECT).png
    broken = curves.convergence(_epochs([0.3] * 3 + [math.nan] * 3 + [0.3] * 3), "validation", SUBJECT).png
    assert _has_colour(broken, VERMILION).sum() < 0.9 * _has_colour(whole, VERMILION).sum()


def test_confusion_matrix_colours_the_share_of_the_row():
    matrix = np.diag([1000] * 9 + [0])
    matrix[3, 4] = 1
    darkest = _has_colour(confusion.confusion_matrix(matrix, CLASSES, IMAGES, SUBJECT).png, (8, 48, 107)).sum()
    few = _has_colour(confusion.confusion_matrix(matrix // 100, CLASSES, IMAGES, SUBJECT).png, (8, 48, 107)).sum()
    assert darkest > 9_000
    assert few == pytest.approx(darkest, rel=0.1)


@pytest.mark.parametrize("mistakes", [1, 4, 5, 6, 25])
def test_gallery_shows_every_mistake(mistakes):
    pixels = _pixels(calibration.mistakes(_predictions(mistakes), CLASSES, IMAGES, SUBJECT).png)
    black = (pixels.max(axis=2) < 8).sum()
    one = (_pixels(calibration.mistakes(_predictions(1), CLASSES, IMAGES, SUBJECT).png).max(axis=2) < 8).sum()
    assert black == pytest.approx(mistakes * one, rel=0.03)


@pytest.mark.parametrize("confidence", [0.1, 0.55, 1.0])
def test_reliability_of_predictions_in_a_single_bin(confidence):
    probabilities = np.full((30, 10), (1 - confidence) / 9)
    probabilities[:, 0] = confidence
    png = calibration.reliability_diagram(reliability(np.arange(30) % 2, probabilities), IMAGES, SUBJECT).png
    assert _has_colour(png, BLUE).any()


def _all_plots(subject: Subject) -> list[bytes]:
    predictions = _predictions(7)
    figures = reliability(predictions.labels, predictions.probabilities)
    return [
        curves.convergence(_epochs([0.5, 0.4]), "validation", subject).png,
        confusion.confusion_matrix(np.diag([100] * 10), CLASSES, IMAGES, subject).png,
        calibration.mistakes(predictions, CLASSES, IMAGES, subject).png,
        calibration.reliability_diagram(figures, IMAGES, subject).png,
    ]


@pytest.fixture(scope="module")
def plain() -> list[bytes]:
    return _all_plots(SUBJECT)


def test_plots_are_the_same_whatever_the_users_style_and_leave_it_alone(plain):
    with mpl.rc_context({"figure.facecolor": "black", "font.size": 30, "axes.grid": False, "text.color": "red"}):
        before = dict(mpl.rcParams)
        assert _all_plots(SUBJECT) == plain
        assert dict(mpl.rcParams) == before


def test_a_dollar_sign_in_a_name_is_not_mathematics():
    assert all(_all_plots(Subject("$my_model$ with $\\frac{$", synthetic=False)))


def test_synthetic_data_is_said_in_every_title(plain):
    subject = dataclasses.replace(SUBJECT, synthetic=True)
    assert all(a != b for a, b in zip(_all_plots(subject), plain, strict=True))
    titles = [text.get_text() for text in new_figure(5, "Convergence", subject).texts]
    assert titles == ["SYNTHETIC DATA: Convergence", SUBJECT.text]


def test_plots_are_small_files(plain):
    noise = np.random.default_rng(0).integers(0, 256, (25, 28, 28), dtype=np.uint8)
    predictions = dataclasses.replace(_predictions(25), mistake_images=noise)
    assert max(map(len, [*plain, calibration.mistakes(predictions, CLASSES, IMAGES, SUBJECT).png])) < 150_000


@pytest.mark.parametrize(("classes", "channels"), [(2, 1), (3, 3), (30, 4), (30, 2)])
def test_plots_of_any_data(classes, channels):
    names, labels = [f"a class with a long name, {i}" for i in range(classes)], np.zeros(3, np.int32)
    probabilities = np.full((3, classes), 0.5 / (classes - 1), np.float32)
    probabilities[:, 1] = 0.5
    images = np.full((3, 5, 4, channels) if channels > 1 else (3, 5, 4), 200, np.uint8)
    predictions = Predictions(labels, probabilities, np.arange(3, dtype=np.int32), images)
    assert calibration.mistakes(predictions, names, IMAGES, SUBJECT).alt.startswith("3 misclassified images")
    matrix = np.eye(classes, dtype=int) * 9
    assert "on the diagonal" in confusion.confusion_matrix(matrix, names, IMAGES, SUBJECT).alt
