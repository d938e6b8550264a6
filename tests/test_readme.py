"""What the README and the pages in docs/ tell a user to type works."""

from __future__ import annotations

import functools
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from run_script import environment, write_data

from fmnist_jax.benchmark import report
from fmnist_jax.compare import config as study_schema
from fmnist_jax.config import schema as config_schema
from fmnist_jax.config.shipped import shipped
from fmnist_jax.data import synthetic

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def _blocks(language: str, text: str = README) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def _commands() -> list[list[str]]:
    text = "\n".join(block for page in PAGES for block in _blocks("bash", page.read_text())).replace("\\\n", " ")
    return [
        shlex.split(line, comments=True) for line in text.splitlines() if line.startswith(("python ", "fmnist-jax "))
    ]


def _run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, timeout=300)


def test_readme_has_the_commands_of_each_script():
    assert {command[1] for command in _commands()} >= {
        "scripts/train.py",
        "scripts/evaluate.py",
        "scripts/predict.py",
        "scripts/reproduce.py",
    }


@pytest.mark.parametrize("command", _commands(), ids=" ".join)
def test_scripts_configs_flags_and_keys_of_a_command_exist(command):
    name = Path(command[1]).stem
    assert command[:2] in (["fmnist-jax", name], ["python", f"scripts/{name}.py"])
    module = ROOT / "fmnist_jax/cli/commands" / f"{name}.py"
    source = module.read_text() + (ROOT / "fmnist_jax/cli/flags.py").read_text()
    for argument in command[2:]:
        flag, _, value = argument.removeprefix("--").partition("=")
        if not argument.startswith("--") or flag in ("help", "workdir"):
            continue
        if flag == "config":
            assert (ROOT / value).is_file() or value in shipped()
        elif flag.startswith("config."):
            schema = study_schema.SCHEMA if name == "compare" else config_schema.SCHEMA
            key = flag.removeprefix("config.")
            assert key in config_schema.settable(schema) or config_schema.is_option(key)
        else:
            assert re.search(rf'(?i:define_)\w+\(\s*"{flag}"', source), f"{name} has no flag --{flag}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_shell_scripts_and_linked_files_exist(page):
    text = page.read_text()
    for path in re.findall(r"\]\((?!http)([^)#]+)\)", text):
        assert (page.parent / path).exists(), path
    for path in re.findall(r"^(scripts/\w+\.sh)", text, re.MULTILINE):
        assert (ROOT / path).is_file(), path


def test_readme_is_short():
    assert len(README.splitlines()) <= 130


def test_train_evaluate_and_predict_work_one_after_the_other(tmp_path):
    """The section "Train, evaluate, predict" as it stands, with a smaller network, data set and run."""
    section = README.split("## Train, evaluate, predict")[1].split("##")[0]
    lines = next(block for block in _blocks("bash") if "predict.py" in block).splitlines()
    assert all(line in section for line in lines)
    Image.linear_gradient("L").resize((30, 40)).save(tmp_path / "photo_of_a_shirt.png")
    write_data(tmp_path / "data")
    small = ["--config.data.name=csv", f"--config.data.dir={tmp_path}/data"]
    small += ["--config.model.name=model1", "--config.train.epochs=1"]
    for line in lines:
        if not line.startswith("python "):
            continue
        command = [sys.executable, *shlex.split(line)[1:]]
        command = [str(ROOT / word) if word.startswith("scripts/") else word for word in command]
        command = [f"--config={ROOT / word.partition('=')[2]}" if "--config=" in word else word for word in command]
        extra = small if "train.py" in line else []
        done = _run([*command, *extra], tmp_path)
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "runs/model3/report.html").is_file()
    assert (tmp_path / "runs/model3/evaluations/test/report.html").is_file()
    assert done.stdout.startswith("photo_of_a_shirt.png: ")


def test_library_example_runs(capsys, monkeypatch):
    monkeypatch.setattr(synthetic, "generate", functools.partial(synthetic.generate, 0, 600, 100))
    (code,) = _blocks("python", (ROOT / "docs/library.md").read_text())
    exec(compile(code, "library.md", "exec"), {})
    printed = capsys.readouterr().out
    assert "accuracy" in printed


def test_network_of_ones_own_trains(tmp_path):
    section = (ROOT / "docs/bring_your_own.md").read_text().split("## A network\n")[1].split("\n## ")[0]
    (code,) = _blocks("python", section)
    (tmp_path / "my_network.py").write_text(code)
    write_data(tmp_path / "data")
    flags = ["--config=my_network.py", "--config.data.name=csv", "--config.data.dir=data", "--config.train.epochs=1"]
    done = _run([sys.executable, str(ROOT / "scripts/train.py"), *flags, "--workdir=run"], tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "run/summary.json").read_text())["model"] == "my_network"


def test_the_results_are_the_committed_ones():
    reference, other = ((ROOT / f"docs/benchmarks/{name}.md").read_text() for name in ("reference", "speednet"))
    assert "\n".join([reference.split("\n\n")[0], *other.splitlines()[2:]]) in README


def test_speed_table_and_its_page_are_made_of_the_committed_figures():
    folder = ROOT / "docs/benchmarks"
    for name in ("benchmark", "batch_norm", "growth"):
        record = json.loads((folder / f"{name}.json").read_text())
        assert (folder / f"{name}.md").read_text() == report.markdown(record)
    assert report.overview(json.loads((folder / "benchmark.json").read_text())["models"]) in README


def test_verdict_is_that_of_the_committed_study():
    summary = json.loads((ROOT / "docs/studies/rmsprop_adam/summary.json").read_text())
    quoted = " ".join(re.findall(r"^> (.*)$", README, re.MULTILINE))
    assert quoted == " ".join(summary["workloads"][0]["verdict"])
