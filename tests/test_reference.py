from __future__ import annotations

import json
import shutil
import statistics
from pathlib import Path

import pytest
from workdir_files import manifest, write_json, write_run

from fmnist_jax.errors import WorkdirError
from fmnist_jax.report.run.reference import PUBLISHED, write_table

FIGURES = ("train_loss", "train_accuracy", "val_loss", "val_accuracy")


def _write(workdir: Path, model: str, seed: int, **changes: object) -> Path:
    folder = workdir / model / f"seed{seed}"
    return write_run(folder, epochs=2, examples=20, model=model, seed=seed, **changes)


@pytest.fixture
def runs(tmp_path) -> Path:
    """Three runs each of two networks: model 1's are around the published figures, model 4's beside them."""
    for seed in range(3):
        for model, off in (("model1", 0.01 * (seed - 1)), ("model4", 0.01 * (seed + 1))):
            published = PUBLISHED[model]
            _write(tmp_path, model, seed, optimizer="adam", **{name: published[name] + off for name in FIGURES})
    return tmp_path


@pytest.mark.smoke
def test_the_table_sets_our_runs_beside_the_published_figures(runs):
    text = write_table(runs)
    assert (runs / "reference.md").read_text() == text
    lines = text.splitlines()
    assert lines[0] == "| model | optimizer |  | loss | accuracy | val loss | val accuracy |"
    assert lines[2:6] == [
        "| model1 | adam | published | 0.2860 | 0.9009 | 0.3161 | 0.8898 |",
        "|  |  | ours, 3 seeds | 0.2860 ± 0.0100 | 0.9009 ± 0.0100 | 0.3161 ± 0.0100 | 0.8898 ± 0.0100 |",
        "| model4 | adam | published | 0.1565 | 0.9429 | 0.2708 | 0.9013 |",
        "|  |  | ours, 3 seeds | 0.1765 ± 0.0100 | 0.9629 ± 0.0100 | 0.2908 ± 0.0100 | 0.9213 ± 0.0100 |",
    ]
    missed = "model4 train loss, model4 train accuracy, model4 val loss, model4 val accuracy"
    assert lines[-1] == f"Our runs' range holds the published figure in 4 of 8 cells; not in: {missed}."


def test_the_json_holds_every_run_and_where_it_came_from(runs):
    write_table(runs)
    rows = json.loads((runs / "reference.json").read_text())
    assert list(rows) == ["model1", "model4"]
    row = rows["model4"]
    figure = row["figures"]["val_loss"]
    expected = [0.2708 + 0.01 * (seed + 1) for seed in range(3)]
    assert figure["values"] == pytest.approx(expected)
    assert figure["mean"] == pytest.approx(statistics.mean(expected))
    assert figure["std"] == pytest.approx(statistics.stdev(expected))
    assert (figure["published"], figure["covered"]) == (0.2708, False)
    assert rows["model1"]["figures"]["val_loss"]["covered"] is True
    assert row["seeds"] == [0, 1, 2]
    assert row["git_sha"] == [manifest()["git_sha"]]
    assert row["git_dirty"] is False
    assert row["data"] == manifest()["data"]


def test_runs_of_different_code_are_told(runs):
    write_json(runs / "model1" / "seed2" / "manifest.json", manifest() | {"git_sha": "abc", "git_dirty": True})
    write_table(runs)
    row = json.loads((runs / "reference.json").read_text())["model1"]
    assert row["git_sha"] == sorted(["abc", manifest()["git_sha"]])
    assert row["git_dirty"] is True


def test_a_table_that_covers_all_says_so(tmp_path):
    for seed, off in enumerate((-0.01, 0.01)):
        _write(tmp_path, "model2", seed, **{name: value + off for name, value in PUBLISHED["model2"].items()})
    assert write_table(tmp_path).endswith("Our runs' range holds the published figure in 4 of 4 cells.\n")


def test_a_config_that_was_not_in_the_study_has_no_published_figures(runs):
    for seed in range(2):
        figures = {"train_loss": 0.2, "train_accuracy": 0.93, "val_loss": 0.25, "val_accuracy": 0.91 + 0.02 * seed}
        _write(runs, "speednet", seed, optimizer="adam", **figures)
    lines = write_table(runs).splitlines()
    assert lines[6].startswith("| speednet | adam | ours, 2 seeds | 0.2000 ± 0.0000 | 0.9300 ± 0.0000 | 0.2500 ± 0.0")
    assert lines[-1].startswith("Our runs' range holds the published figure in 4 of 8 cells")
    _remove_runs(runs)
    assert write_table(runs).splitlines()[-1] == lines[6]


def _remove_runs(runs: Path) -> None:
    for model in ("model1", "model4"):
        shutil.rmtree(runs / model)


def _leave_one(runs: Path) -> None:
    for seed in (1, 2):
        (runs / "model4" / f"seed{seed}").rename(runs / f"other{seed}")


def _diverge(runs: Path) -> None:
    _write(runs, "model4", 1, status="diverged", train_loss=None, val_loss=None)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_remove_runs, r"holds no runs; train them: scripts/reproduce\.py --workdir="),
        (_leave_one, r"model4 holds 1 runs; a standard deviation takes two or more"),
        (
            lambda runs: _write(runs, "model4", 1, synthetic=True, data="synthetic"),
            r"model4 holds a run on the synthetic",
        ),
        (
            lambda runs: (runs / "model1" / "seed1" / "summary.json").unlink(),
            r"summary\.json is missing, so the run has",
        ),
        (_diverge, r"model4 holds a run that diverged"),
    ],
)
def test_what_makes_no_table_is_an_error_and_writes_nothing(runs, change, message):
    change(runs)
    with pytest.raises(WorkdirError, match=message):
        write_table(runs)
    assert not list(runs.glob("reference.*"))
