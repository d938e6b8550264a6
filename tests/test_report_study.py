from __future__ import annotations

import csv
import dataclasses
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from fake_population import FakePopulation
from page_reader import Page
from study_files import Simulated, final_scores, read_lines, study_config, write_lines, write_study

from fmnist_jax.compare import runner
from fmnist_jax.compare.config import study_config as real_config
from fmnist_jax.errors import WorkdirError
from fmnist_jax.report import write_study_report

QUICK = Simulated({"rmsprop": 0.911, "adam": 0.9145, "momentum": 0.9}, seeds=3, epochs=(3,), targets=())


def rows_of(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines()))


@pytest.fixture(scope="module")
def tuned(tmp_path_factory) -> Path:
    """The workdir of a tuned study with its report; not to be changed."""
    accuracy = {"sgd": 0.86, "rmsprop": 0.911, "adam": 0.9145, "lion": 0.912}
    simulated = Simulated(
        accuracy, mode="tuned", trials=5, seeds=9, score_test=True, val_examples=5000, diverged=frozenset({("lion", 2)})
    )
    return write_study_report(write_study(tmp_path_factory.mktemp("tuned") / "study", simulated)).parent


@pytest.fixture(scope="module")
def several(tmp_path_factory) -> Path:
    """The workdir of a study of two workloads with its report, on the synthetic set; not to be changed."""
    simulated = Simulated(
        {"adam": 0.91, "sgd": 0.85}, models=("model1", "model3"), epochs=(2,), seeds=7, synthetic=True
    )
    return write_study_report(write_study(tmp_path_factory.mktemp("several"), simulated)).parent


def test_writes_what_a_study_promises(tuned):
    plots = {path.stem for path in (tuned / "plots").iterdir()}
    assert {path.name for path in tuned.iterdir()} >= {"report.html", "report.md", "summary.json", "table.csv"}
    page = Page(tuned / "report.html")
    assert len(page.images) == len(plots) == 7
    assert all(image["src"].startswith("data:image/png;base64,") and len(image["alt"]) > 40 for image in page.images)
    assert set(re.findall(r"\]\(plots/(\w+)\.png\)", (tuned / "report.md").read_text())) == plots
    assert not list(tuned.rglob("*.tmp"))


def test_the_page_needs_no_network_and_fits_a_phone(tuned):
    source = re.sub(r"data:image/png;base64,[\w+/=]*", "", (tuned / "report.html").read_text())
    assert not re.search(r"https?:|//|url\(|@import|<script|<link", source.replace("<!DOCTYPE html>", ""))
    assert '<meta name="viewport" content="width=device-width, initial-scale=1">' in source


def test_the_page_tells_the_whole_story(tuned):
    text = Page(tuned / "report.html").text
    scores = final_scores(tuned, "adam", "test_accuracy")
    for part in (
        "4 optimizers: model3, 5 epochs, constant",
        "tuned with 5 trials, trained with the same 9 seeds.",
        "1 of 9 runs of lion diverged; each counts",
        "1 of 36 final runs diverged.",
        "Compilation, s in total",
        f"{100 * scores.mean():.2f} [",
        "Test accuracy, % [95 % CI]",
        "Difference to best, points",
        "Holm-adjusted p",
        "P(beats best)",
        "Sampling error of the 10,000 test images, apart from the seeds: 95 % CI",
        "with 80 % power; seeds needed: ",
        "a scrambled Halton sequence",
        "LR plateau, decades",
        "85 %, restricted means up to 500 steps",
        "The study uses one data set; the ranking can differ on others.",
        "Seconds per run are the chunk's training time divided by its number of runs",
        "lion, final run, seed 2",
        "study.trials",
        "in tuned mode: tuning runs of each arm",
        "To reproduce the study, check out the commit below",
        "python scripts/compare.py --config=configs/compare_quick.py",
        "3f2b8c1d9e0a47566b7f2d1c8e9a0b3c4d5e6f70",
        "ab" * 32,
    ):
        assert part in text, part
    for absent in ("INCOMPLETE", "SYNTHETIC", "Nothing was tuned", "nan", "None"):
        assert absent not in text, absent


def test_the_markdown_tells_the_same_story(tuned):
    text = (tuned / "report.md").read_text()
    for part in (
        "# 4 optimizers: model3, 5 epochs, constant\n",
        "**adam beats ",
        "| Arm | Test accuracy, % [95 % CI] | Group |",
        "> **",
        "- The study uses one data set",
        "```\npython scripts/compare.py",
    ):
        assert part in text, part
    for row in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in row.splitlines()}) == 1


def test_every_figure_is_in_the_summary(tuned):
    found = json.loads((tuned / "summary.json").read_text())
    (workload,) = found["workloads"]
    adam = workload["arms"][0]
    assert (found["status"], found["score"], found["mode"], adam["arm"]) == (
        "finished",
        "test_accuracy",
        "tuned",
        "adam",
    )
    assert adam["mean"]["value"] == pytest.approx(final_scores(tuned, "adam", "test_accuracy").mean())
    assert workload["verdict"][0].startswith("adam beats ")
    assert {len(workload[key]) for key in ("arms", "tuning")} == {4}
    assert len(workload["comparison"]["pairs"]) == 6
    assert found["totals"]["planned"] == 56


def test_the_table_is_one_for_programs(tuned):
    rows = rows_of(tuned / "table.csv")
    assert [row["arm"] for row in rows] == ["adam", "rmsprop", "sgd", "lion"]
    scores = {arm: final_scores(tuned, arm, "test_accuracy") for arm in ("adam", "rmsprop")}
    assert float(rows[1]["mean"]) == pytest.approx(scores["rmsprop"].mean())
    assert float(rows[1]["to_best"]) == pytest.approx((scores["rmsprop"] - scores["adam"]).mean())
    assert float(rows[1]["to_best_low"]) < float(rows[1]["to_best"]) < float(rows[1]["to_best_high"]) < 0
    assert (rows[0]["best"], rows[0]["to_best"], rows[0]["p"]) == ("adam", "", "")
    assert (rows[3]["failures"], rows[3]["mean_low"]) == ("1", "")
    assert "learning_rate" in json.loads(rows[0]["hyperparameters"])
    by_arm = {row["arm"]: row for row in rows}
    assert (by_arm["sgd"]["relative_step"], by_arm["adam"]["optimizer_state"]) == ("1.0", "2.001")
    steps = [float(by_arm[arm]["step_seconds"]) for arm in ("adam", "sgd")]
    assert float(by_arm["adam"]["relative_step"]) == pytest.approx(steps[0] / steps[1])


def test_a_report_made_again_is_the_same(tuned):
    before = {path: path.read_bytes() for path in tuned.rglob("*") if path.is_file()}
    write_study_report(str(tuned))
    assert {path: path.read_bytes() for path in tuned.rglob("*") if path.is_file()} == before


def test_a_quick_study_on_few_seeds_says_that_it_can_show_nothing(tmp_path):
    text = Page(write_study_report(write_study(tmp_path, QUICK))).text
    for part in (
        "3 seeds are too few to show a difference between 3 arms: the smallest possible p-value of a pair is 0.25",
        "too few seeds; needed with 80 % power: ",
        "Nothing was tuned: the study compares the arms at the given settings",
        "The test set was not scored; all results are validation accuracies.",
        "No final run diverged.",
        "learning_rate 0.001",
    ):
        assert part in text, part
    assert "Time to target" not in text


def test_several_workloads_have_a_verdict_and_a_part_each(several):
    page = Page(several / "report.html")
    names = ("model1, 2 epochs, constant", "model3, 2 epochs, constant")
    for name in names:
        anchor = name.replace(", ", "%2C%20").replace(" ", "%20")
        assert f'<a href="#{anchor}">{name}</a>' in page.source
        assert f'<section id="{anchor}"><h2>{name}</h2>' in page.source
    assert page.text.count("adam beats sgd by ") == 4
    assert "All workloads" in page.text
    plots = {path.stem for path in (several / "plots").iterdir()}
    assert {"error_profile", "steps_profile", "1-model1-2-epochs-constant-learning_curves"} <= plots
    assert len(plots) == len(page.images)
    assert {row["model"] for row in rows_of(several / "table.csv")} == {"model1", "model3"}


def test_synthetic_data_is_said_in_title_and_headline(several):
    source = (several / "report.html").read_text()
    for tag in ("title", "h1"):
        assert re.search(f"<{tag}>SYNTHETIC DATA: adam against sgd: 2 workloads", source)
    assert "These results say nothing about Fashion-MNIST." in source
    assert (several / "report.md").read_text().startswith("# SYNTHETIC DATA: ")


def test_an_incomplete_study_says_loudly_what_is_missing(tmp_path):
    simulated = Simulated({"adam": 0.91, "sgd": 0.85, "lion": 0.9}, mode="tuned", trials=2, seeds=3, targets=())
    workdir = write_study(tmp_path, simulated)
    whole = (workdir / "results.jsonl").read_text().splitlines(keepends=True)
    # Stopped in the last chunk: the final runs of lion, of which the file has half a line.
    begun = [line for line in whole if json.loads(line)["chunk"] < 5]
    (workdir / "results.jsonl").write_text("".join(begun) + whole[-1][:100])
    text = Page(write_study_report(workdir)).text
    assert "INCOMPLETE: 3 of 15 runs are missing." in text
    assert "Missing: 3 final runs of lion. Run the same command again to train them." in text
    assert "3 optimizers: model3, 5 epochs, constant (incomplete)" in text
    assert json.loads((workdir / "summary.json").read_text())["status"] == "incomplete"


def test_a_study_without_any_run_yet(tmp_path):
    simulated = Simulated({"adam": 0.91, "sgd": 0.85}, missing=frozenset({"adam", "sgd"}))
    text = Page(write_study_report(write_study(tmp_path, simulated))).text
    assert "INCOMPLETE: 10 of 10 runs are missing." in text
    assert "No final run is finished yet." in text


def test_plots_of_an_earlier_state_go_and_other_files_stay(tmp_path):
    workdir = write_study(tmp_path, QUICK)
    (workdir / "plots").mkdir()
    for name in ("1-model9-learning_curves.png", "failures.png", "mine.png"):
        (workdir / "plots" / name).touch()
    write_study_report(workdir)
    assert {path.name for path in (workdir / "plots").iterdir()} == {
        "learning_curves.png",
        "paired_differences.png",
        "mine.png",
    }


def test_validation_on_the_test_set_is_said(tmp_path):
    text = Page(write_study_report(write_study(tmp_path, Simulated({"adam": 0.9}, seeds=2, val_examples=0)))).text
    assert "Validation is the test set." in text
    assert "Test accuracy, %" in text
    assert "data.val_examples is 0, so the validation split is the test set" in text


def test_seconds_are_compared_over_equal_chunks_only(tmp_path):
    page = Page(write_study_report(write_study(tmp_path / "shared", QUICK)))
    assert f"Seconds are measured on chunks of {QUICK.seeds} runs, the largest size that all arms" in page.text
    workdir = write_study(tmp_path / "apart", dataclasses.replace(QUICK, targets=(0.85,)))
    first, *others = read_lines(workdir, "chunks.jsonl")
    write_lines(workdir, [first | {"device": "another", "executor": "threads"}, *others], "chunks.jsonl")
    text = Page(write_study_report(workdir)).text
    assert "On model3, 3 epochs, constant, the arms share no chunk size on the same device and executor" in text
    assert "Seconds are measured on" not in text
    assert not (workdir / "plots" / "time_to_target.png").exists()
    assert (workdir / "plots" / "steps_to_target.png").exists()


def test_a_report_without_times_shows_no_seconds(tmp_path):
    workdir = write_study(tmp_path, Simulated({"adam": 0.91, "sgd": 0.85}, seeds=2, targets=(0.8,)))
    with_times = write_study_report(workdir).with_suffix(".md").read_text()
    without = write_study_report(workdir, times=False).with_suffix(".md").read_text()
    for part in ("Training time", "Training, s per run", "Mean training s", "Seconds per run", "time_to_target.png"):
        assert part in with_times, part
        assert part not in without, part
    for part in ("| Arm | Reached | Mean steps |\n", "## Steps to target", "plots/steps_to_target.png"):
        assert part in without, part
    assert not (workdir / "plots" / "time_to_target.png").exists()


def test_names_are_escaped_and_a_missing_manifest_is_told(tmp_path):
    workdir = write_study(tmp_path, Simulated({"<b>|": 0.9, "*x*": 0.8}, seeds=2))
    (workdir / "manifest.json").unlink()
    page = Page(write_study_report(workdir))
    assert "<b>|" in page.text
    assert "manifest.json is missing" in page.text
    assert r"\<b>\|" in (workdir / "report.md").read_text()


def test_headers_of_markdown_tables_are_escaped(tmp_path):
    simulated = Simulated({"adam": 0.9, "sgd": 0.8}, models=("model|1", "*model3*"), epochs=(2,), seeds=2)
    text = write_study_report(write_study(tmp_path, simulated)).with_suffix(".md").read_text()
    assert r"| Arm | model\|1, 2 epochs, constant, % | \*model3\*, 2 epochs, constant, % |" in text


def test_adam_that_loses_to_momentum_is_badly_tuned(tmp_path):
    simulated = Simulated({"adam": 0.9, "momentum": 0.91}, mode="tuned", trials=2, seeds=7, targets=())
    assert (
        "momentum beats tuned adam: the tuning of adam fell short."
        in Page(write_study_report(write_study(tmp_path, simulated))).text
    )


def test_nothing_is_written_for_a_workdir_that_cannot_be_read(tmp_path):
    workdir = write_study(tmp_path, QUICK)
    (workdir / "results.jsonl").write_text("{}\n")
    before = sorted(workdir.rglob("*"))
    with pytest.raises(WorkdirError, match=r"results\.jsonl"):
        write_study_report(workdir)
    assert sorted(workdir.rglob("*")) == before


def test_a_large_study_is_rendered_quickly(tmp_path):
    accuracy = {f"optimizer{i}": 0.92 - 0.004 * i for i in range(10)}
    workdir = write_study(tmp_path, Simulated(accuracy, mode="tuned", trials=20, seeds=10, epochs=(10,)))
    began = time.process_time()
    write_study_report(workdir)
    assert time.process_time() - began < 30


@pytest.mark.parametrize("mode", ["quick", "tuned"])
def test_reports_what_the_runner_writes(tmp_path, monkeypatch, toy_data, mode):
    monkeypatch.setattr(FakePopulation, "trained", [], raising=False)
    monkeypatch.setattr(FakePopulation, "before_chunk", staticmethod(lambda number: None), raising=False)
    monkeypatch.setattr(runner, "Population", FakePopulation)
    config = real_config()
    config.data.name, config.data.dir, config.data.val_examples = "csv", str(toy_data), 11
    config.train.batch_size = 8
    config.study.update({"optimizers": ("rmsprop", "adam:eps=1e-8"), "models": ("toy",), "epochs": (2,), "seeds": 3})
    config.study.update({"mode": mode, "trials": 4, "targets": (0.3,), "score_test": mode == "tuned"})
    runner.compare(config, tmp_path)
    text = Page(write_study_report(tmp_path)).text
    assert "rmsprop against adam:eps=1e-8: toy, 2 epochs, constant" in text
    assert "INCOMPLETE" not in text
    rows = rows_of(tmp_path / "results.csv")
    key = "test_accuracy" if mode == "tuned" else "val_accuracy"
    scores = [float(row[key]) if row["diverged"] == "False" else 0.1 for row in rows if row["arm"] == "rmsprop"]
    table = {row["arm"]: row for row in rows_of(tmp_path / "table.csv")}
    assert float(table["rmsprop"]["mean"]) == pytest.approx(np.mean(scores))


def test_the_config_of_the_simulated_studies_is_a_real_one():
    assert set(study_config(QUICK)["study"]) == set(real_config().study)


def test_studies_are_reported_without_jax_and_pyplot():
    blocked = ["jax", "jaxlib", "flax", "optax", "orbax", "tensorflow_datasets", "matplotlib.pyplot"]
    program = (
        f"import sys; sys.modules.update(dict.fromkeys({blocked})); "
        "from fmnist_jax.report import write_study_report; import fmnist_jax.compare.analysis.analyse"
    )
    subprocess.run(
        [sys.executable, "-c", program], check=True, env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    )


def test_seeds_added_after_results_were_there_are_told_of_first(tmp_path):
    write_study(tmp_path, QUICK)
    plan = json.loads((tmp_path / "plan.json").read_text())
    added = {"chunk": 2, "trained": 9, "arms": ["momentum"], "seeds": [1, 2]}
    (tmp_path / "plan.json").write_text(json.dumps(plan | {"additions": [added]}))
    text = (write_study_report(tmp_path).parent / "report.md").read_text()
    assert text.index("Seeds were added to the study: 2 seeds after 9 runs.") < text.index("## Results")
    assert "momentum was added after 9 runs had been trained" in text
