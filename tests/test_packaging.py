"""The built package: wheel and sdist hold what they should, and the command works from any folder."""

from __future__ import annotations

import importlib.metadata
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
from run_script import ROOT, environment, train_arguments, write_data

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
SOURCES = ("fmnist_jax", "configs", "pyproject.toml", "setup.py", "README.md", "LICENSE")


def build(kind: str, source: Path, target: Path) -> Path:
    """Builds a `wheel` or an `sdist` as pip does, with the setuptools that is installed."""
    code = f"from setuptools import build_meta; build_meta.build_{kind}({str(target)!r})"
    done = subprocess.run([sys.executable, "-c", code], cwd=source, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (built,) = target.iterdir()
    return built


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that is built from the sdist."""
    if int(importlib.metadata.version("setuptools").partition(".")[0]) < 77:
        pytest.skip("pyproject.toml needs a newer setuptools, which the extra dev installs")
    folder = tmp_path_factory.mktemp("package")
    for name in SOURCES:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / "checkout" / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / "checkout" / name)
    (folder / "sdist").mkdir()
    with tarfile.open(build("sdist", folder / "checkout", folder / "sdist")) as archive:
        archive.extractall(folder / "unpacked", filter="data")
    (unpacked,) = (folder / "unpacked").iterdir()
    (folder / "wheel").mkdir()
    return build("wheel", unpacked, folder / "wheel")


@pytest.fixture(scope="module")
def installed(wheel: Path) -> Path:
    """The folder of site packages into which the wheel is installed."""
    folder = wheel.parent.parent / "installed"
    pip = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--no-compile", "--target", str(folder)]
    subprocess.run([*pip, str(wheel)], check=True, capture_output=True)
    return folder


def test_the_wheel_holds_every_module_and_every_config(wheel: Path):
    package = {file.relative_to(ROOT).as_posix() for file in (ROOT / "fmnist_jax").rglob("*.py")}
    configs = {f"fmnist_jax/{file.relative_to(ROOT).as_posix()}" for file in (ROOT / "configs").rglob("*.py")}
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert held == package | configs | {"fmnist_jax/py.typed"}


def test_the_installed_command_works_from_an_empty_folder(installed: Path, tmp_path: Path):
    def run(*arguments: str) -> str:
        command = [sys.executable, str(installed / "bin" / "fmnist-jax"), *arguments]
        found = environment() | {"PYTHONPATH": str(installed)}
        done = subprocess.run(command, cwd=tmp_path, env=found, capture_output=True, text=True, timeout=300)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    assert re.search("^  records/fast_92  +A record", run("configs"), re.MULTILINE)
    assert "fmnist-jax train --config=" in run("train", "--help")
    arguments = train_arguments(Path("run"), write_data(tmp_path / "data"), train__epochs=1)
    trained = run("train", *(argument.replace("configs/smoke.py", "smoke") for argument in arguments))
    assert trained.splitlines()[-1] == "finished after epoch 1; report: run/report.html"
    assert run("report", "--workdir=run") == "run/report.html\n"
    manifest = (tmp_path / "run" / "manifest.json").read_text()
    assert '"command": "fmnist-jax train --workdir=run --config=smoke ' in manifest
    assert f'"path": "{installed}/fmnist_jax/configs/smoke.py"' in manifest


def test_other_files_name_the_same_versions():
    assert re.search(rf"^version: {re.escape(PROJECT['version'])}$", (ROOT / "CITATION.cff").read_text(), re.MULTILINE)
    assert f"\n## {PROJECT['version']}" in (ROOT / "CHANGELOG.md").read_text()
    (ruff,) = re.findall(r"^ruff==(.*)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert f"rev: v{ruff}\n" in (ROOT / ".pre-commit-config.yaml").read_text()
