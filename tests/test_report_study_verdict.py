from __future__ import annotations

import re
from pathlib import Path

import pytest
from study_files import Simulated, write_study

from fmnist_jax.compare.analysis.analyse import analyse
from fmnist_jax.compare.analysis.study import read_study
from fmnist_jax.report.study.verdict import verdict

INTERVAL = r"-?\d+\.\d\d \[.?\d+\.\d\d, .?\d+\.\d\d\]"


def said(folder: Path, simulated: Simulated) -> list[str]:
    return verdict(analyse(read_study(write_study(folder, simulated))).workloads[0])


def test_the_best_arms_and_by_how_much_they_lead(tmp_path):
    accuracy = {"adam": 0.914, "rmsprop": 0.911, "nadam": 0.914}
    first, second = said(tmp_path, Simulated(accuracy, seeds=10, sd=0.0008))
    assert re.fullmatch(rf"\w+ and \w+ do not differ significantly; both beat rmsprop by {INTERVAL} points\.", first)
    assert re.fullmatch(
        r"With 10 seeds the study detects a difference of 0\.\d\d points with 80 % power; smaller differences can go "
        r"unnoticed\.",
        second,
    )


def test_two_arms_that_differ(tmp_path):
    (only,) = said(tmp_path, Simulated({"adam": 0.914, "rmsprop": 0.908}, seeds=10))
    assert only.startswith("adam beats rmsprop by 0.")
    assert only.endswith(" points (p = 0.002).")


def test_two_arms_that_do_not(tmp_path):
    first, second = said(tmp_path, Simulated({"adam": 0.91, "rmsprop": 0.91}, seeds=10))
    assert "adam" in first
    assert " do not differ significantly over 10 seeds: the difference is " in first
    assert "; paired permutation test, p = " in first
    assert "smaller differences can go unnoticed" in second


@pytest.mark.parametrize(
    ("arms", "seeds", "sentence"),
    [
        (
            2,
            3,
            "3 seeds are too few to show a difference: the smallest possible p-value of a pair is 0.25, above 0.05. "
            "At least 6 seeds are needed.",
        ),
        (
            4,
            7,
            "7 seeds are too few to show a difference between 4 arms: the smallest possible p-value of a pair is "
            "0.016, 0.094 after Holm adjustment for 6 pairs, above 0.05. At least 8 seeds are needed.",
        ),
        (2, 1, "One seed cannot show a difference: the variation between seeds is unknown."),
    ],
)
def test_too_few_seeds_to_show_anything(tmp_path, arms, seeds, sentence):
    accuracy = dict(list({"adam": 0.914, "sgd": 0.8, "lion": 0.7, "muon": 0.6}.items())[:arms])
    first, second = said(tmp_path, Simulated(accuracy, seeds=seeds))
    assert first == sentence
    assert second.startswith("adam has the highest mean, 11.")
    assert second.endswith(" points above sgd, which may be chance.")


def test_many_arms_that_are_beaten_are_summed_up(tmp_path):
    accuracy = {f"arm{i}": 0.9 - 0.01 * i for i in range(7)}
    (first, *_) = said(tmp_path, Simulated(accuracy, seeds=12, sd=0.0005))
    assert first.startswith("arm0 beats 6 other arms, by 0.9")
    assert "(arm1) to " in first
    assert first.endswith(" points (arm6).")


def test_an_arm_that_only_some_of_the_best_beat(tmp_path):
    # The middle arm is as far from either end as the noise reaches; the ends are told apart.
    accuracy = {"a": 0.9133, "b": 0.912, "c": 0.9107}
    sentences = said(tmp_path, Simulated(accuracy, seeds=8, sd=0.0018))
    assert sentences[0] == "a and b do not differ significantly."
    assert sentences[1].startswith("a, but not b, beats c by 0.")


def test_failed_runs_are_told_and_do_not_pass_for_a_low_mean(tmp_path):
    simulated = Simulated({"adam": 0.914, "lion": 0.914, "sgd": 0.86}, seeds=10, diverged=frozenset({("lion", 1)}))
    sentences = said(tmp_path, simulated)
    assert sentences[0].startswith("adam beats sgd by 5.")
    assert sentences[-1] == (
        "1 of 10 runs of lion diverged; each counts with chance accuracy, 10\N{NO-BREAK SPACE}%. The test cannot rank "
        "this arm."
    )


def test_an_arm_of_which_every_run_failed_is_beaten_without_a_difference(tmp_path):
    lost = frozenset(("lion", seed) for seed in range(8))
    first, *_, last = said(tmp_path, Simulated({"adam": 0.914, "lion": 0.914}, seeds=8, diverged=lost))
    assert first == "adam beats lion, which had diverged runs (p = 0.0078)."
    assert last.startswith("8 of 8 runs of lion diverged; ")
    assert "cannot rank" not in last


def test_every_arm_failed(tmp_path):
    lost = frozenset((arm, seed) for seed in range(8) for arm in ("adam", "lion"))
    sentences = said(tmp_path, Simulated({"adam": 0.914, "lion": 0.914}, seeds=8, diverged=lost))
    assert sentences[0].startswith("adam and lion do not differ significantly over 8 seeds: the difference is 0.00")
    assert len(sentences) == 3


def test_nothing_to_compare(tmp_path):
    assert said(tmp_path / "a", Simulated({"adam": 0.9}))[0].startswith("adam is the only arm with final runs")
    lacking = Simulated({"adam": 0.9, "sgd": 0.8}, missing=frozenset({"adam", "sgd"}))
    assert said(tmp_path / "b", lacking) == ["No final run is finished yet."]
