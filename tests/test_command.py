"""The console command: the list of commands, names that are none; configs by name."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from run_script import ROOT, Ended, run_script

from fmnist_jax.config.shipped import locate, shipped

COMMANDS = {file.stem: file for file in (ROOT / "fmnist_jax/cli/commands").glob("*.py") if file.stem != "__init__"}


@pytest.fixture
def run(tmp_path: Path):
    """Runs `fmnist-jax` with arguments, as if the package were installed."""
    code = "import sys\nfrom fmnist_jax.cli.command import main\nsys.argv[0] = '/usr/bin/fmnist-jax'\nmain()\n"

    def run(*arguments: object) -> Ended:
        (tmp_path / "program.py").write_text(code)
        return run_script(tmp_path / "program", *arguments)

    return run


def test_help_has_a_line_for_each_command_without_jax():
    code = """
import sys
sys.argv = ["fmnist-jax", "--help"]
from fmnist_jax.cli.command import main
try:
    main()
finally:
    assert not {"jax", "numpy", "absl"} & sys.modules.keys()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    listed = dict(re.findall(r"^  (\w+) +(.*)$", done.stdout, re.MULTILINE))
    assert listed == {
        name: ast.get_docstring(ast.parse(file.read_text())).splitlines()[0] for name, file in COMMANDS.items()
    }


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_has_its_flags(name: str, run):
    ended = run(name, "--help")
    assert (ended.code, ended.err) == (0, "")
    assert f"\nfmnist-jax {name}" in ended.out
    if "_WORKDIR" in COMMANDS[name].read_text():
        assert "--workdir: " in ended.out


def test_every_script_is_a_command():
    scripts = {file.stem for file in (ROOT / "scripts").glob("*.py")}
    assert scripts == COMMANDS.keys() - {"configs", "report"}
    for name in scripts:
        assert f"python scripts/{name}.py" in run_script(name, "--help").out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "no command is given; fmnist-jax --help lists them"),
        (["trian", "--workdir=x"], "'trian' is not a command; did you mean 'train'?; fmnist-jax --help lists them"),
        (["../train"], "'../train' is not a command; did you mean 'train'?; fmnist-jax --help lists them"),
        (["train", "train"], "--config must be given, e.g. --config=model3"),
        (["configs", "model3"], "'model3' is not a flag; flags begin with --, see --help"),
        (
            ["report", "--workdir=/none"],
            "/none holds no run (no config.json); train one: fmnist-jax train --workdir=...",
        ),
    ],
)
def test_what_is_no_command_line(arguments: list[str], message: str, run):
    assert run(*arguments) == Ended(2, "", f"error: {message}\n")


def test_the_report_of_a_run_is_written_again(finished: Path, run, tmp_path: Path):
    workdir = shutil.copytree(finished, tmp_path / "run")
    assert not (workdir / "report.html").exists()
    assert run("report", f"--workdir={workdir}") == Ended(0, f"{workdir}/report.html\n", "")
    assert (workdir / "report.html").is_file()


def test_a_study_is_reported_as_such(run, tmp_path: Path):
    shutil.copy(ROOT / "docs/studies/rmsprop_adam/config.json", tmp_path)
    ended = run("report", f"--workdir={tmp_path}")
    assert ended.err.startswith(f"error: {tmp_path}/plan.json is missing; run fmnist-jax compare with --workdir=")


def test_configs_are_found_by_name_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    assert locate("model3") == ROOT / "configs/model3.py"
    assert locate("records/fast_92") == ROOT / "configs/records/fast_92.py"
    assert set(shipped().values()) == set((ROOT / "configs").rglob("*.py"))


def test_a_file_goes_before_a_config_of_its_name_and_a_folder_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    Path("model3").mkdir()
    assert locate("model3") == ROOT / "configs/model3.py"
    Path("model4").write_text("")
    assert locate("model4") == Path("model4")
    assert locate("nosuch") == Path("nosuch")


def test_flags_that_take_a_config_take_its_name(run):
    ended = run("record", "--config=records/fast_92", "--against=records/fast_92")
    path = ROOT / "configs/records/fast_92.py"
    assert ended == Ended(2, "", f"error: --against must name another record, not {path}\n")
