"""Runs the scripts as a shell does, for tests: a process each, with its output, its exit code and signals to it."""

from __future__ import annotations

import atexit
import dataclasses
import functools
import multiprocessing.forkserver
import os
import resource
import runpy
import shutil
import subprocess
import sys
import tempfile
from multiprocessing.context import ForkServerContext
from pathlib import Path
from unittest import mock

import csv_files

from fmnist_jax.data.synthetic import generate

ROOT = Path(__file__).parent.parent


@dataclasses.dataclass(frozen=True)
class Ended:
    """How a process ended: its exit code, and what it wrote."""

    code: int
    out: str
    err: str


def run_script(name: str | Path, *arguments: object, largest_file: int | None = None) -> Ended:
    """Runs `scripts/<name>.py`, from the repository's root, in a process forked from one that imported everything.

    Imports take most of a script's time to fail, and what a script does after them is the same. It cannot write files
    of more than `largest_file` bytes.
    """
    process = Forked(name, *arguments, largest_file=largest_file)
    out, err = process.communicate()
    assert process.returncode is not None
    return Ended(process.returncode, out, err)


class Forked:
    """A script in a process forked as by `run_script`, to be waited for or killed as a `subprocess.Popen`.

    JAX has so many `devices` there, by default one for each core.
    """

    def __init__(
        self, name: str | Path, *arguments: object, largest_file: int | None = None, devices: int | None = None
    ):
        self._folder = tempfile.TemporaryDirectory()
        self._files = Path(self._folder.name, "out"), Path(self._folder.name, "err")
        argv = [str(Path("scripts", f"{name}.py")), *map(str, arguments)]
        self._process = _server().Process(target=_become, args=(argv, *map(str, self._files), largest_file, devices))
        self._process.start()

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Waits for the end; returns what it wrote on stdout and stderr."""
        self._process.join(timeout)
        if self._process.is_alive():
            assert timeout is not None
            raise subprocess.TimeoutExpired("a forked script", timeout)
        # One that was killed at once has not opened them yet.
        out, err = (file.read_text() if file.exists() else "" for file in self._files)
        self._folder.cleanup()
        return out, err

    def kill(self) -> None:
        self._process.kill()

    def send_signal(self, number: int) -> None:
        assert self._process.pid is not None
        os.kill(self._process.pid, number)


def start_script(name: str, *arguments: object, **hooks: object) -> subprocess.Popen[str]:
    """Starts `scripts/<name>.py` from the repository's root in a Python of its own.

    `hooks` are the settings of `hooks/sitecustomize.py`, which stops it at a chosen moment.
    """
    settings = {setting.upper(): str(value) for setting, value in hooks.items()}
    if settings:
        settings["PYTHONPATH"] = os.pathsep.join([str(ROOT / "tests" / "hooks"), str(ROOT)])
    return subprocess.Popen(
        [sys.executable, f"scripts/{name}.py", *map(str, arguments)],
        cwd=ROOT,
        env=environment() | settings,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def environment() -> dict[str, str]:
    """The environment of a script under test: no data but what it is given, and what was compiled once is kept."""
    kept = {name: value for name, value in os.environ.items() if name != "FMNIST_DATA_DIR"}
    return kept | {
        "PYTHONPATH": str(ROOT),
        "JAX_PLATFORMS": "cpu",
        "JAX_COMPILATION_CACHE_DIR": _cache(),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "XLA_FLAGS": "--xla_backend_optimization_level=0",
    }


def write_data(folder: Path, train_examples: int = 500, test_examples: int = 120) -> Path:
    """Writes a data set of a few synthetic garments as `--config.data.name=csv` wants them; returns `folder`."""
    return csv_files.write(folder, *generate(train_examples=train_examples, test_examples=test_examples))


def train_arguments(workdir: Path, data: Path, **overrides: object) -> list[str]:
    """Arguments of `train.py` for a run of seconds on `write_data`'s; `overrides` as `train__epochs=3`."""
    config = {"data.name": "csv", "data.dir": data, "data.val_examples": 100, "train.batch_size": 64}
    config |= {key.replace("__", "."): value for key, value in overrides.items()}
    settings = [f"--config.{key}={value}" for key, value in config.items()]
    return [f"--workdir={workdir}", "--config=configs/smoke.py", *settings]


def study_arguments(workdir: Path, data: Path, **overrides: object) -> list[str]:
    """Arguments of `compare.py` for a study of milliseconds on `toy`'s data; `overrides` as `study__seeds=3`."""
    config = {"data.dir": data, "study.optimizers": "rmsprop,adam:eps=1e-8,b1=0.8", "study.targets": "0.1,0.2"}
    config |= {key.replace("__", "."): value for key, value in overrides.items()}
    settings = [f"--config.{key}={value}" for key, value in config.items()]
    return [f"--workdir={workdir}", "--config=tests/toy_study.py", *settings]


@functools.cache
def _cache() -> str:
    folder = tempfile.mkdtemp(prefix="compiled-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@functools.cache
def _server() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        ["run_script", "fmnist_jax.train.loop", "fmnist_jax.compare.runner", "fmnist_jax.report"]
    )
    with mock.patch.dict(os.environ, environment(), clear=True):
        multiprocessing.forkserver.ensure_running()
    return context


def _become(argv: list[str], out: str, err: str, largest_file: int | None, devices: int | None) -> None:
    for number, path in ((1, out), (2, err)):
        file = os.open(path, os.O_WRONLY | os.O_CREAT)
        os.dup2(file, number)
        os.close(file)
    if largest_file is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))
    if devices is not None:
        import jax

        jax.config.update("jax_num_cpu_devices", devices)
    os.chdir(ROOT)
    sys.argv = argv
    runpy.run_path(argv[0], run_name="__main__")
