"""Studies from end to end: what scripts/compare.py writes and prints, signals to it, what is resumed after a kill."""

from __future__ import annotations

import hashlib
import json
import re
import signal
import time
from pathlib import Path

import pytest
from kill_and_resume import kill_and_resume, study, study_differences
from run_script import ROOT, Forked, run_script, study_arguments, write_data

from fmnist_jax import optim
from fmnist_jax.compare.config import SCHEMA
from fmnist_jax.config import schema as config_schema
from fmnist_jax.config.python_file import read_config_file

EXAMPLES = ROOT / "docs" / "examples"
MY_OPTIMIZER = EXAMPLES / "my_optimizer.py"


@pytest.fixture(scope="module")
def finished(toy_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The workdir of a study that was trained without a disturbance."""
    workdir = tmp_path_factory.mktemp("studies") / "study"
    ended = run_script("compare", *study_arguments(workdir, toy_data))
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.endswith(f"\nfinished: 12 runs, 0 of them diverged; report: {workdir}/report.html\n")
    return workdir


def files(workdir: Path) -> dict[str, bytes]:
    return {str(path.relative_to(workdir)): path.read_bytes() for path in workdir.rglob("*") if path.is_file()}


def test_a_study_leaves_what_is_promised(finished: Path):
    names = {"config.json", "manifest.json", "plan.json", "results.jsonl", "chunks.jsonl", "results.csv"}
    assert names | {"summary.json", "plots", "report.html", "report.md"} <= {path.name for path in finished.iterdir()}
    manifest = json.loads((finished / "manifest.json").read_text())
    assert manifest["command"].startswith("python scripts/compare.py --workdir=")
    file = Path(__file__).with_name("toy_study.py")
    assert manifest["config_file"] == {"path": str(file), "sha256": hashlib.sha256(file.read_bytes()).hexdigest()}
    config = config_schema.from_dict(json.loads((finished / "config.json").read_text()), SCHEMA)
    assert config.study.optimizers == ("rmsprop", "adam:eps=1e-8,b1=0.8")
    assert config.study.targets == (0.1, 0.2)


def test_a_finished_study_is_reported_anew_and_nothing_else(finished: Path, toy_data: Path):
    before = files(finished)
    (finished / "report.html").unlink()
    ended = run_script("compare", *study_arguments(finished, toy_data))
    verdict, last = ended.out.splitlines()
    assert verdict.startswith("linear, 2 epochs, constant: ")
    assert last == f"finished: 12 runs, 0 of them diverged; report: {finished}/report.html"
    assert (ended.code, ended.err) == (0, "")
    assert files(finished) == before


def test_a_study_killed_without_warning_and_resumed_is_the_uninterrupted_one(tmp_path: Path):
    assert kill_and_resume(tmp_path, kills=1, seed=10, subject=study(), start=Forked) == []


def test_a_study_stopped_by_a_signal_and_resumed_is_the_uninterrupted_one(
    finished: Path, toy_data: Path, tmp_path: Path
):
    arguments = study_arguments(tmp_path / "study", toy_data)
    process = Forked("compare", *arguments)
    while not (tmp_path / "study" / "results.jsonl").exists():
        time.sleep(0.005)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate()
    assert process.returncode == 128 + signal.SIGTERM
    assert re.fullmatch(r"stopped after \d+ of 12 runs; run the same command again to resume\n", err)
    ended = run_script("compare", *arguments)
    assert (ended.code, ended.err) == (0, "")
    assert re.search(r" images, resumed after \d+ of them; csv, cpu; ", ended.out)
    assert study_differences(tmp_path / "study", finished) == []


def test_an_optimizer_of_ones_own_is_compared(tmp_path: Path):
    data = write_data(tmp_path / "data", train_examples=200, test_examples=50)
    small = {"data.name": "csv", "data.dir": data, "data.val_examples": 100, "train.batch_size": 50}
    small |= {"study.models": "model1", "study.epochs": 1, "study.trials": 2, "study.seeds": 2}
    small |= {"study.optimizers": "my_optimizer,my_optimizer:momentum=0.5"}
    settings = [f"--config.{key}={value}" for key, value in small.items()]
    ended = run_script("compare", f"--config={MY_OPTIMIZER}", f"--workdir={tmp_path / 'study'}", *settings)
    assert (ended.code, ended.err) == (0, "")
    found = [json.loads(line) for line in (tmp_path / "study" / "results.jsonl").read_text().splitlines()]
    own = [line["hyperparameters"] for line in found if line["arm"] == "my_optimizer"]
    assert len(own) == 4
    assert own[0] == {"learning_rate": 1e-4, "momentum": 0.9}
    assert own[1] != own[0]
    assert "my_optimizer" in (tmp_path / "study" / "report.html").read_text()


def test_the_file_of_ones_own_optimizer_can_be_read_again(monkeypatch):
    monkeypatch.setattr(optim.OPTIMIZERS, "entries", dict(optim.OPTIMIZERS.entries))
    for _ in range(2):
        config = read_config_file(MY_OPTIMIZER, SCHEMA)
    assert config.study.optimizers == ("my_optimizer", "adam")


def test_the_page_on_ones_own_optimizer_shows_what_is_in_the_file():
    page = (ROOT / "docs" / "bring_your_own.md").read_text()
    code = re.findall(r"## An optimizer\n.*?```python\n(.*?)```", page, re.DOTALL)[0]
    imported, *rest = code.strip().split("\n\n\n")
    file = MY_OPTIMIZER.read_text()
    assert all(part in file for part in rest)
    assert all(line in file for line in imported.splitlines())
    assert sum(bool(line.strip()) for line in "\n".join(rest).splitlines()) <= 10


def test_the_example_for_notebooks_runs(toy_data: Path, tmp_path: Path, monkeypatch, capsys):
    """As it stands, with a smaller network and data set."""
    code = (EXAMPLES / "study_in_a_notebook.py").read_text()
    for given, smaller in {
        'config.data.name = "synthetic"': f'config.data.name, config.data.dir = "csv", "{toy_data}"',
        "val_examples = 2000": "val_examples = 11\nconfig.train.batch_size = 16",
        '("model1",)': '("linear",)',
    }.items():
        assert given in code
        code = code.replace(given, smaller)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(optim.OPTIMIZERS, "entries", dict(optim.OPTIMIZERS.entries))
    exec(compile(code, "study_in_a_notebook.py", "exec"), {})
    printed = capsys.readouterr().out
    assert "{'runs': 12, 'diverged': 0}\nreport: runs/notebook/report.html\n" in printed
    assert printed.count("val accuracy") >= 12
    assert (tmp_path / "runs" / "notebook" / "report.html").is_file()
