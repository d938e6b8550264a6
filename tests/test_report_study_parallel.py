from __future__ import annotations

import json
from pathlib import Path

import pytest
from study_files import Simulated, write_study

from fmnist_jax.compare.analysis.analyse import analyse
from fmnist_jax.compare.analysis.study import read_study
from fmnist_jax.report.study.context import Context
from fmnist_jax.report.study.parallel import arms_with_several_axes, parallel_coordinates


def context(folder: Path, lists: dict[str, list[object]], trials: int = 4) -> Context:
    """A study of which `sgd` is searched in one range, `sgd:learning_rate=0.1` in none, beside the lists."""
    arms = {"sgd": 0.86, "sgd:learning_rate=0.1": 0.9}
    write_study(folder, Simulated(arms, mode="tuned", trials=trials, seeds=2, epochs=(2,)))
    plan, config = (json.loads((folder / name).read_text()) for name in ("plan.json", "config.json"))
    plan["spaces"]["sgd:learning_rate=0.1"] = {}
    config["study"] |= lists
    (folder / "plan.json").write_text(json.dumps(plan))
    (folder / "config.json").write_text(json.dumps(config))
    study = read_study(folder)
    return Context(study, analyse(study))


@pytest.mark.parametrize(
    ("lists", "arms"),
    [
        ({}, []),
        ({"batch_sizes": [64, 128]}, ["sgd"]),
        ({"batch_sizes": [64, 128], "warmups": ["0 steps", "5%"]}, ["sgd", "sgd:learning_rate=0.1"]),
    ],
)
def test_arms_with_two_searched_axes_or_more_are_shown(lists, arms, tmp_path):
    found = context(tmp_path, lists)
    assert [arm.arm for arm in arms_with_several_axes(found, found.study.workloads[0])] == arms


def test_two_trials_are_no_picture(tmp_path):
    found = context(tmp_path, {"batch_sizes": [64, 128]}, trials=2)
    assert arms_with_several_axes(found, found.study.workloads[0]) == []


def test_the_picture_is_of_those_arms(tmp_path):
    found = context(tmp_path, {"batch_sizes": [64, 128], "weight_decays": [0.0, 0.1]})
    picture = parallel_coordinates(found, found.study.workloads[0])
    assert picture.name == "trials"
    assert "sgd and sgd:learning_rate=0.1" in picture.alt
