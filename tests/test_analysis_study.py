from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from study_files import Simulated, read_lines, write_lines, write_study

from fmnist_jax.compare.analysis.study import read_study
from fmnist_jax.errors import WorkdirError

TWO = Simulated({"rmsprop": 0.91, "adam": 0.912}, seeds=3, epochs=(4,))


@pytest.fixture
def workdir(tmp_path: Path) -> Path:
    return write_study(tmp_path / "study", TWO)


def _change(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))


def test_reads_what_was_written(workdir):
    study = read_study(workdir)
    (workload,) = study.workloads
    assert (workload.name, study.design.tuned, study.design.targets) == (
        "model3, 4 epochs, constant",
        False,
        (0.85, 0.9),
    )
    assert [(cell.arm, len(cell.finals), len(cell.trials)) for cell in workload.arms] == [
        ("rmsprop", 3, 0),
        ("adam", 3, 0),
    ]
    member = workload.arms[1].finals[2]
    lines = [line for line in read_lines(workdir) if line["arm"] == "adam" and line["seed"] == 2]
    assert (member.seed, member.diverged, member.hyperparameters) == (2, False, {"learning_rate": 1e-3})
    assert list(member.curve("val_accuracy")) == [line["val_accuracy"] for line in lines]
    assert member.final_val_accuracy == lines[-1]["val_accuracy"]
    assert study.chunks[1].compile_seconds == 6.5


def test_workloads_are_the_product_of_models_budgets_and_schedules(tmp_path):
    simulated = Simulated(
        {"adam": 0.9}, models=("model1", "2c2d"), epochs=(1, 3), schedules=("constant", "cosine"), seeds=1
    )
    study = read_study(write_study(tmp_path, simulated))
    assert len(study.workloads) == 8
    assert study.workloads[1].name == "model1, 1 epoch, cosine"
    assert all(len(workload.arms[0].finals) == 1 for workload in study.workloads)


def test_a_tuned_study_has_trials_and_what_was_searched(tmp_path):
    study = read_study(write_study(tmp_path, Simulated({"adam": 0.9}, mode="tuned", trials=4, seeds=2)))
    cell = study.workloads[0].arms[0]
    assert [trial.number for trial in cell.trials] == [0, 1, 2, 3]
    assert {member.seed for member in cell.tuning}.isdisjoint(member.seed for member in cell.finals)
    assert study.spaces["adam"]["learning_rate"].high == 1.0


def test_a_diverged_run_counts_as_a_guess_and_ends_early(tmp_path):
    simulated = Simulated({"adam": 0.9}, seeds=2, score_test=True, diverged=frozenset({("adam", 1)}))
    sound, lost = read_study(write_study(tmp_path, simulated)).workloads[0].arms[0].finals
    assert (sound.diverged, lost.diverged) == (False, True)
    assert (lost.final_val_accuracy, lost.final_test_accuracy) == (0.1, 0.1)
    assert sound.final_test_accuracy == pytest.approx(sound.final_val_accuracy - 0.003)
    assert len(lost.history) == 2


@pytest.mark.parametrize("cut", [1, 40, 500])
def test_a_chunk_that_was_cut_short_is_left_out(workdir, cut):
    results = workdir / "results.jsonl"
    results.write_bytes(results.read_bytes()[:-cut])
    rmsprop, adam = read_study(workdir).workloads[0].arms
    # The last run of the file has lost its last line, or more; what was written to its end stays.
    assert (len(rmsprop.finals), len(adam.finals)) == (3, 2)
    assert adam.planned_finals == 3


def test_a_study_of_which_nothing_is_trained_yet_has_its_plan(workdir):
    (workdir / "results.jsonl").unlink()
    (workdir / "chunks.jsonl").unlink()
    study = read_study(workdir)
    assert [(len(cell.finals), cell.planned_finals) for cell in study.workloads[0].arms] == [(0, 3), (0, 3)]
    assert study.chunks == {}


def test_a_missing_manifest_is_none(workdir):
    (workdir / "manifest.json").unlink()
    study = read_study(workdir)
    assert (study.manifest, study.scored_examples(), study.data) == (None, None, "fashion_mnist")


def test_which_images_the_score_is_of(tmp_path):
    held_out = read_study(write_study(tmp_path / "a", Simulated({"adam": 0.9}, val_examples=5000)))
    on_test = read_study(write_study(tmp_path / "b", Simulated({"adam": 0.9}, val_examples=5000, score_test=True)))
    same = read_study(write_study(tmp_path / "c", Simulated({"adam": 0.9}, val_examples=0)))
    assert [study.scored_examples() for study in (held_out, on_test, same)] == [5000, 10_000, 10_000]
    assert [study.validation_is_test for study in (held_out, on_test, same)] == [False, False, True]


@pytest.mark.parametrize(
    ("name", "change", "problem"),
    [
        ("config.json", lambda c: c.pop("study"), "no section 'study'"),
        ("config.json", lambda c: c["study"].update(optimizers="adam"), "section 'study' has optimizers"),
        ("config.json", lambda c: c["study"].update(epochs=[True]), "section 'study' has epochs"),
        ("config.json", lambda c: c["study"].update(mode="slow"), "mode = 'slow'"),
        ("config.json", lambda c: c["study"].pop("seeds"), "'seeds'"),
        ("plan.json", lambda p: p.pop("chunks"), "lacks 'chunks'"),
        ("plan.json", lambda p: p["chunks"][0].update(members=None), "has members = None, which is not a list"),
        ("plan.json", lambda p: p.pop("spaces"), "lacks 'spaces'"),
        ("plan.json", lambda p: p["chunks"].pop(), "not in plan.json"),
        (
            "plan.json",
            lambda p: p["spaces"].update(adam={"b1": {"default": 0.9, "low": 0.5, "high": 0.99, "scale": "cube"}}),
            "scale = 'cube', which is not log",
        ),
    ],
)
def test_a_damaged_plan_or_config_is_named(workdir, name, change, problem):
    _change(workdir / name, change)
    with pytest.raises(WorkdirError, match=problem) as caught:
        read_study(workdir)
    assert name.partition(".")[0] in str(caught.value) or "results.jsonl" in str(caught.value)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"epoch": 3}, "line 1 has epoch 3 of member 0, not 1"),
        ({"seed": 9}, "line 2 is of another run than the lines before it of member 0"),
        ({"val_accuracy": 1.2}, "line 1 has val_accuracy = 1.2, which is not between 0 and 1"),
        ({"hyperparameters": {"eps": None}}, "line 1 has hyperparameters = .*, which is not an object without null"),
        ({"train_loss": None}, "line 2 goes on after member 0 diverged"),
        ({"train_seconds": "3"}, "line 1 has train_seconds = '3', which is not a number"),
    ],
)
def test_a_damaged_line_is_named(workdir, change, problem):
    lines = read_lines(workdir)
    lines[0] |= change
    write_lines(workdir, lines)
    with pytest.raises(WorkdirError, match=problem) as caught:
        read_study(workdir)
    assert "results.jsonl" in str(caught.value)


def test_two_runs_of_a_seed_are_an_error(workdir):
    lines = read_lines(workdir)
    for line in lines:
        if line["arm"] == "adam" and line["seed"] == 1:
            line["seed"] = 0
    write_lines(workdir, lines)
    with pytest.raises(WorkdirError, match="two runs of 'adam'"):
        read_study(workdir)


def test_a_final_run_without_its_test_score_is_an_error(tmp_path):
    workdir = write_study(tmp_path, Simulated({"adam": 0.9}, seeds=1, score_test=True))
    lines = read_lines(workdir)
    del lines[-1]["test_accuracy"]
    write_lines(workdir, lines)
    with pytest.raises(WorkdirError, match="lacks the test accuracy of member 0"):
        read_study(workdir)


def test_results_without_their_chunk_are_an_error(workdir):
    write_lines(workdir, read_lines(workdir, "chunks.jsonl")[:1], "chunks.jsonl")
    with pytest.raises(WorkdirError, match=r"chunks\.jsonl lacks chunk 1"):
        read_study(workdir)


def test_the_chunk_of_runs_that_were_cut_short_is_left_out(workdir):
    write_lines(workdir, [line for line in read_lines(workdir) if line["arm"] == "rmsprop"])
    assert list(read_study(workdir).chunks) == [0]


@pytest.mark.parametrize("name", ["config.json", "plan.json"])
def test_a_missing_file_is_named_with_the_way_out(workdir, name):
    (workdir / name).unlink()
    with pytest.raises(WorkdirError, match=rf"{name} is missing; run scripts/compare\.py"):
        read_study(workdir)


def test_a_folder_that_is_none(tmp_path):
    with pytest.raises(WorkdirError, match="is not a folder"):
        read_study(tmp_path / "none")
