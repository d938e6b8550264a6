from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from page_reader import Page
from workdir_files import (
    diverged,
    epoch_records,
    manifest,
    write_augmented,
    write_evaluation,
    write_json,
    write_matrix,
    write_metrics,
    write_run,
)

from fmnist_jax.errors import WorkdirError
from fmnist_jax.report import write_evaluation_report, write_run_report


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run's report; tests that change the workdir make their own."""
    return write_run_report(write_run(tmp_path_factory.mktemp("report") / "run", epochs=4, examples=500))


def _small(folder: Path, **changes: object) -> Path:
    return write_run(folder, epochs=2, examples=50, **changes)


def test_writes_the_plots_and_a_page_that_holds_them(report):
    plots = sorted(path.name for path in (report.parent / "plots").iterdir())
    assert plots == ["confusion_matrix.png", "convergence.png", "mistakes.png", "reliability.png"]
    page = Page(report)
    assert len(page.images) == 4
    assert all(image["src"].startswith("data:image/png;base64,") and len(image["alt"]) > 40 for image in page.images)
    assert report.stat().st_size < 1_000_000


def test_the_page_needs_no_network_and_fits_a_phone(report):
    source = re.sub(r"data:image/png;base64,[\w+/=]*", "", report.read_text())
    assert not re.search(r"https?:|//|url\(|@import|<script|<link", source.replace("<!DOCTYPE html>", ""))
    assert '<meta name="viewport" content="width=device-width, initial-scale=1">' in source
    assert "prefers-color-scheme: dark" in source


def test_the_page_tells_the_whole_story(report):
    text = Page(report).text
    summary = json.loads((report.parent / "summary.json").read_text())
    for part in (
        f"model3 with rmsprop: {100 * summary['val_accuracy']:.2f} % on the test set",
        "Validation metrics are computed on the test set, as in the reference study. Nothing was selected by them here",
        "390,410",
        "Precision",
        " predicted as ",
        "running means over the epoch, in training mode",
        "Guo et al. 2017",
        "optimizer.learning_rate",
        "0.001 (the optimizer's default)",
        manifest()["git_sha"],
        "jax: 0.10.2",
        "ab" * 32,
        manifest()["command"],
    ):
        assert part in text, part
    for absent in ("SYNTHETIC", "DIVERGED", "Uncommitted", "optimizer.momentum", "None"):
        assert absent not in text


def test_a_report_made_again_is_the_same(report):
    before = report.read_bytes()
    assert write_run_report(str(report.parent)).read_bytes() == before
    assert not list(report.parent.rglob("*.tmp"))


def test_synthetic_data_is_said_in_title_and_headline(tmp_path):
    source = write_run_report(_small(tmp_path, synthetic=True, data="synthetic")).read_text()
    for tag in ("title", "h1"):
        assert re.search(f"<{tag}>SYNTHETIC DATA: model3", source)
    assert "These results say nothing about Fashion-MNIST." in source


def test_a_diverged_run_says_so_and_since_when(tmp_path):
    lost = {"train_loss": None, "val_loss": None, "train_accuracy": 0.1, "val_accuracy": 0.1}
    workdir = write_run(tmp_path, epochs=4, examples=50, status="diverged", **lost)
    write_metrics(workdir, diverged(epoch_records(4), 3))
    np.savez(workdir / "predictions.npz", **_nan_predictions(workdir))
    text = Page(write_run_report(workdir)).text
    assert "model3 with rmsprop diverged" in text
    assert "became non-finite in epoch 3 of 4" in text
    assert "Some predicted probabilities are not finite" in text
    assert "not finite" in text


def _nan_predictions(workdir: Path) -> dict[str, np.ndarray]:
    with np.load(workdir / "predictions.npz") as file:
        arrays = dict(file)
    return arrays | {"probabilities": np.full_like(arrays["probabilities"], np.nan)}


@pytest.mark.parametrize(
    ("name", "sentence", "plots"),
    [
        ("predictions.npz", "predictions.npz is missing, so there is no calibration", 2),
        ("confusion_matrix.csv", "confusion_matrix.csv is missing, so there are no scores", 3),
        ("manifest.json", "manifest.json is missing, so the code, the machine", 4),
    ],
)
def test_a_missing_file_is_told_and_its_old_plots_go(tmp_path, name, sentence, plots):
    workdir = _small(tmp_path)
    write_run_report(workdir)
    (workdir / name).unlink()
    page = Page(write_run_report(workdir))
    assert sentence in page.text
    assert len(page.images) == len(list((workdir / "plots").iterdir())) == plots


def test_a_run_without_mistakes(tmp_path):
    workdir = _small(tmp_path)
    with np.load(workdir / "predictions.npz") as file:
        arrays = dict(file)
    right = np.eye(10, dtype=np.float32)[arrays["labels"]]
    none = {"mistake_index": np.zeros(0, np.int32), "mistake_images": np.zeros((0, 28, 28), np.uint8)}
    np.savez(workdir / "predictions.npz", **arrays | none | {"probabilities": right})
    write_matrix(workdir, np.diag(np.bincount(arrays["labels"], minlength=10)))
    text = Page(write_run_report(workdir)).text
    assert "No image of the test set was misclassified." in text
    assert "The workdir holds no picture of a mistake on the test set." in text


def test_a_held_out_validation_set_is_not_called_the_test_set(tmp_path):
    held_out = {"validation_is_test": False, "scored_split": "val"}
    text = Page(write_run_report(_small(tmp_path / "val", **held_out))).text
    assert "on the validation set" in text
    assert "test set" not in text.split("Hyperparameters")[0]


def test_a_scored_test_set_leads_and_validation_follows(tmp_path):
    scored = {"validation_is_test": False, "scored_split": "test", "test_loss": 0.25, "test_accuracy": 0.9111}
    text = Page(write_run_report(_small(tmp_path, **scored))).text
    assert "model3 with rmsprop: 91.11 % on the test set" in text
    assert "Validation accuracy" in text


def test_names_are_escaped_and_odd_manifests_are_shown(tmp_path):
    workdir = _small(tmp_path, model="<script>alert(1)</script>", data="a&b")
    odd = {
        "git_sha": None,
        "git_dirty": True,
        "command": ["python", "a b.py"],
        "extra": [1, {"<k>": True}],
        "data": "<",
    }
    write_json(workdir / "manifest.json", odd)
    page = Page(write_run_report(workdir))
    assert "<script" not in page.source
    for part in ("<script>alert(1)</script>", "a&b", "python 'a b.py'", "not recorded", "Uncommitted changes.", "<k>"):
        assert part in page.text


def test_evaluation_report(tmp_path):
    workdir = _small(tmp_path)
    write_evaluation(workdir, "train", examples=60, synthetic=True)
    path = write_evaluation_report(workdir, "train")
    assert path == workdir / "evaluations" / "train" / "report.html"
    page = Page(path)
    assert "SYNTHETIC DATA: model3 with rmsprop: " in page.text
    assert "on the training set" in page.text
    # The figures are the training images', so what the validation images are is beside the point.
    assert "Validation is the test set." not in page.text
    assert len(page.images) == 3
    assert not (path.parent / "plots" / "convergence.png").exists()


def test_evaluation_on_the_validation_images_says_when_they_are_the_test_set(tmp_path):
    write_evaluation(_small(tmp_path), "val", examples=60)
    text = Page(write_evaluation_report(tmp_path, "val")).text
    assert "Validation is the test set." in text
    assert "on the test set" in text


def test_nothing_is_written_for_a_workdir_that_cannot_be_read(tmp_path):
    workdir = _small(tmp_path)
    (workdir / "metrics.jsonl").write_text("{")
    before = sorted(workdir.rglob("*"))
    with pytest.raises(WorkdirError, match=r"metrics\.jsonl"):
        write_run_report(workdir)
    assert sorted(workdir.rglob("*")) == before


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    workdir = _small(tmp_path)
    write_augmented(workdir)  # so that each plot is drawn
    (workdir / "plots").write_text("in the way")
    with pytest.raises(WorkdirError, match=r"plots.* cannot be written"):
        write_run_report(workdir)


def test_a_plot_that_cannot_be_removed_is_named(tmp_path):
    evaluation = write_evaluation(_small(tmp_path), "test", examples=20)
    (evaluation / "plots").write_text("in the way")
    with pytest.raises(WorkdirError, match=r"plots.* cannot be removed"):
        write_evaluation_report(tmp_path, "test")


def test_a_report_has_the_permissions_of_any_other_file(tmp_path):
    other = tmp_path / "other"
    other.touch()
    path = write_run_report(_small(tmp_path / "run"))
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(other.stat().st_mode)


def test_reports_need_neither_jax_nor_pyplot():
    blocked = ["jax", "jaxlib", "flax", "optax", "orbax", "tensorflow_datasets", "matplotlib.pyplot"]
    program = f"import sys; sys.modules.update(dict.fromkeys({blocked})); import fmnist_jax.report"
    subprocess.run(
        [sys.executable, "-c", program], check=True, env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    )
