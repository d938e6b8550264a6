from __future__ import annotations

import io

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image
from study_files import Simulated, write_study

from fmnist_jax.compare.analysis.analyse import analyse
from fmnist_jax.compare.analysis.study import read_study
from fmnist_jax.report.model import Picture, pictures
from fmnist_jax.report.study.context import Context, arm_styles, legend_rows
from fmnist_jax.report.study.report import study_report
from fmnist_jax.report.theme import accuracy_axis


def drawn(folder, simulated: Simulated) -> dict[str, Picture]:
    study = read_study(write_study(folder, simulated))
    report = study_report(Context(study, analyse(study)))
    return {picture.name: picture for picture in pictures(report.items)}


def has_colour(picture: Picture, colour: str) -> bool:
    pixels = np.asarray(Image.open(io.BytesIO(picture.png)).convert("RGB")).astype(int)
    wanted = [int(colour[place : place + 2], 16) for place in (1, 3, 5)]
    return int((np.abs(pixels - wanted).max(axis=2) <= 8).sum()) > 20


def test_every_arm_keeps_its_colour_in_every_plot(tmp_path):
    accuracy = {"adam": 0.914, "sgd": 0.86, "lion": 0.9, "muon": 0.905}
    pictures = drawn(tmp_path, Simulated(accuracy, seeds=4, mode="tuned", trials=4, targets=(0.8, 0.88)))
    styles = arm_styles(list(accuracy))
    assert set(pictures) == {
        "learning_curves",
        "paired_differences",
        "tuning_curves",
        "rate_sensitivity",
        "steps_to_target",
        "time_to_target",
        "failures",
    }
    for name, picture in pictures.items():
        for arm in accuracy:
            # The best is the zero line of the differences, and what never failed has no bar.
            if (name, arm) != ("paired_differences", "adam") and name != "failures":
                assert has_colour(picture, styles[arm].colour), (name, arm)


@pytest.mark.parametrize(
    "simulated",
    [
        Simulated({"adam": 0.9}, seeds=1, epochs=(1,)),
        Simulated({"adam": 0.9, "sgd": 0.9}, seeds=1, epochs=(1,)),
        Simulated({"adam": 0.9, "sgd": 0.9}, seeds=3, sd=0.0),
        Simulated({"adam": 0.9, "sgd": 0.8}, seeds=2, diverged=frozenset({("adam", 0), ("adam", 1)})),
        Simulated({"adam": 0.9}, seeds=2, epochs=(1,), diverged=frozenset({("adam", 0), ("adam", 1)})),
        Simulated({"adam:learning_rate=3e-4,b1=0.8,b2=0.99,eps=1e-8": 0.9, "$sgd$": 0.3}, seeds=2, epochs=(60,)),
        Simulated({"adam": 0.9}, seeds=2, mode="tuned", trials=1),
        Simulated({"adam": 0.9}, seeds=2, mode="tuned", trials=2),
    ],
    ids=["one run", "one seed", "no noise", "an arm lost", "all lost", "odd names", "one trial", "two trials"],
)
def test_plots_of_any_study(tmp_path, simulated):
    assert all(picture.png.startswith(b"\x89PNG") for picture in drawn(tmp_path, simulated).values())


def test_failures_are_drawn_only_where_there_are_some(tmp_path):
    assert "failures" not in drawn(tmp_path, Simulated({"adam": 0.9, "sgd": 0.8}, seeds=2, targets=()))


def test_more_arms_than_colours_are_told_apart_by_their_lines():
    styles = arm_styles([f"arm{i}" for i in range(20)])
    looks = {(style.colour, str(style.line)) for style in styles.values()}
    assert len(looks) == 20


def test_a_long_name_is_cut_and_the_legend_takes_the_rows_that_it_needs():
    styles = list(arm_styles(["adam:" + "b" * 60, *(f"optimizer{i}" for i in range(5))]).values())
    assert len(styles[0].label) < 30
    assert legend_rows(styles[:1]) == 1
    assert legend_rows(styles) > legend_rows(styles[1:]) - 1 >= 1


@pytest.mark.parametrize(
    "values",
    [[0.1, 0.9], [0.85, 0.92], [0.9101, 0.9123], [0.9, 0.9], [1.0, 1.0], [0.1, 1.0], [np.nan, 0.8], [np.nan]],
    ids=["wide", "usual", "narrow", "equal", "perfect", "guess to perfect", "a gap", "nothing"],
)
def test_an_accuracy_axis_shows_all_values_between_two_ticks_or_more(values):
    axes = Figure().subplots()
    accuracy_axis(axes, np.array(values))
    low, high = axes.get_ylim()
    finite = [min(value, 0.9999) for value in values if np.isfinite(value)]
    assert all(low <= value <= high for value in finite)
    assert sum(low <= tick <= high for tick in axes.get_yticks()) >= 2
