"""Several processes that train together; each test starts some, and one alone that works as one of several does."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import jax
import numpy as np
import process_group
import pytest
import toy
from kill_and_resume import differences, study_differences
from run_script import Forked, run_script, study_arguments
from test_loop import _metrics

from fmnist_jax.errors import ConfigError
from fmnist_jax.runtime import devices, processes

EPOCHS = 30  # enough that a signal after the first comes before the last
BOUNDED = 120  # seconds until the others have noticed that one has died; far more than it takes where nothing else runs


def run_arguments(workdir: Path, data: Path) -> list[str]:
    settings = {"data.dir": data, "train.devices": process_group.DEVICES, "train.epochs": EPOCHS}
    overrides = [f"--config.{key}={value}" for key, value in settings.items()]
    return ["--config=tests/toy_run.py", f"--workdir={workdir}", *overrides]


@pytest.fixture(scope="module")
def long(tmp_path_factory, toy_data) -> Path:
    """The workdir of a run of one process."""
    workdir: Path = tmp_path_factory.mktemp("long") / "run"
    process_group.run(1, "train", *run_arguments(workdir, toy_data))
    return workdir


def _started(workdir: Path, data: Path, after: int = 0) -> list[Forked]:
    """Two processes that go on with the same run as `long` after so many epochs, and have trained one."""
    group = process_group.start(2, "train", *run_arguments(workdir, data))
    while not (workdir / "checkpoints" / str(after + 1)).exists():
        assert all(process.returncode is None for process in group), [process.communicate() for process in group]
        time.sleep(0.01)
    return group


def _ended(group: list[Forked]) -> list[tuple[int | None, str]]:
    outputs = [process.communicate(timeout=BOUNDED) for process in group]
    return [(process.returncode, err) for process, (_, err) in zip(group, outputs, strict=True)]


def test_one_alone_has_what_it_gives():
    assert not processes.connected()
    assert processes.is_writer()
    assert processes.gather("value") == ["value"]
    with processes.writer_first():
        processes.barrier()
    processes.finish()
    processes.end_all(2, "nobody hears it")


@pytest.mark.parametrize(
    ("flags", "problem"),
    [
        (["--coordinator_address=here"], "--coordinator_address must be HOST:PORT of process 0, not 'here'"),
        (["--num_processes=2"], "coordinator_address should be defined"),
        (["--num_processes=0"], "--num_processes must be a positive integer"),
        (["--coordinator_address=localhost:1", "--num_processes=2", "--process_id=2"], "process_id < num_processes"),
    ],
)
def test_wrong_flags_are_refused(tmp_path, flags, problem):
    ended = run_script("train", "--config=tests/toy_run.py", f"--workdir={tmp_path / 'run'}", *flags)
    assert ended.code == 2
    assert problem in ended.err
    assert ended.err.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_a_batch_that_processes_cannot_share_is_refused(monkeypatch):
    monkeypatch.setattr(jax, "process_count", lambda: 3)
    with pytest.raises(
        ConfigError, match=r"config\.train\.batch_size must be a multiple of 3, the number of processes"
    ):
        devices.for_training(toy.toy_config())
    with pytest.raises(ConfigError, match=r"config\.train\.devices must be a multiple of 3"):
        devices.for_training(toy.toy_config(train__devices=4))


def test_values_arrays_and_members_of_a_population_are_shared(tmp_path):
    for number in (1, 2):
        process_group.run(number, "../tests/on_processes", tmp_path)
    one, first, second = (
        json.loads((tmp_path / f"{name}.json").read_text()) for name in ("0-of-1", "0-of-2", "1-of-2")
    )
    assert first == second
    assert first["gathered"] == ["", "x"]
    assert first["fetched"] == list(range(8))
    assert first["population"] == one["population"]
    assert first["population"]["device"] == "4 x cpu"
    assert np.isfinite(first["population"]["losses"]).all()


@pytest.mark.parametrize("number", [2, pytest.param(4, marks=pytest.mark.faults)])
def test_a_run_of_several_processes_is_that_of_one(number, tmp_path, toy_data, long):
    """And an error that the writer finds ends the others, too."""
    arguments = run_arguments(tmp_path / "run", toy_data)
    shown, *hidden = process_group.run(number, "train", *arguments)
    assert differences(tmp_path / "run", long) == []
    assert f"finished after epoch {EPOCHS}" in shown
    assert not any(hidden)
    assert json.loads((tmp_path / "run" / "manifest.json").read_text())["device"]["processes"] == number
    group = process_group.start(number, "train", *arguments, "--config.seed=1")
    for code, err in _ended(group):
        assert code == 2
        assert "holds a run of another config" in err
        assert err.count("\n") == 1
    assert differences(tmp_path / "run", long) == []


def test_a_study_of_two_processes_is_that_of_one(tmp_path, toy_data):
    one, two = tmp_path / "one", tmp_path / "two"
    settings = {"study__optimizers": "adam", "study__members_at_once": 3}  # three are not a multiple of two
    for number, workdir in ((1, one), (2, two)):
        process_group.run(number, "compare", *study_arguments(workdir, toy_data, **settings))
    assert study_differences(two, one) == []


def test_a_group_that_is_stopped_and_one_that_loses_a_process_are_resumed(tmp_path, toy_data, long):
    """A signal to one process stops both after the same epoch. At last, one process alone ends what two began."""
    workdir = tmp_path / "run"
    group = _started(workdir, toy_data)
    group[1].send_signal(signal.SIGTERM)
    for code, err in _ended(group):
        stopped = len(_metrics(workdir))
        assert code == 128 + signal.SIGTERM
        assert f"stopped after epoch {stopped}; run the same command again" in err
    group = _started(workdir, toy_data, after=stopped)
    group[1].kill()
    (code, err), (killed, _) = _ended(group)
    assert killed == -signal.SIGKILL
    assert code != 0
    assert "another process has ended" in err or "another task died" in err
    assert stopped < len(_metrics(workdir)) < EPOCHS
    process_group.run(1, "train", *run_arguments(workdir, toy_data))
    assert differences(workdir, long) == []
