"""What a machine or a user does to a run: signals, full and read-only disks, a lost workdir, two at once, the clock."""

from __future__ import annotations

import itertools
import random
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import toy
from kill_and_resume import RUN, Subject, differences, kill_and_resume, study
from run_script import Ended, Forked, run_script, study_arguments
from toy import write_csv
from tries import SEED, tries

from fmnist_jax import optim
from fmnist_jax.report import write_run_report
from fmnist_jax.train.loop import train

pytestmark = pytest.mark.faults

signal.signal(signal.SIGQUIT, signal.SIG_DFL)  # a shell's background ignores it
ONE_LINE = r"(warning: .*\n)*error: .*\n"
STUDY = study(study__epochs=20, study__trials=8, study__seeds=8)


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The workdir of a run that nothing happened to, and its data."""
    folder = tmp_path_factory.mktemp("untouched")
    data = RUN.data(folder / "data")
    assert run_script("train", *RUN.arguments(folder / "run", data)).code == 0
    return folder / "run", data


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, in memory; only root may make one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "none", folder], check=False, capture_output=True).returncode:
        pytest.skip("mounting takes root")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def _remount(disk: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", disk], check=True)


def _is_one_line(ended: Ended) -> bool:
    return ended.code == 2 and re.fullmatch(ONE_LINE, ended.err) is not None


@pytest.mark.parametrize(
    ("subject", "number"), [pytest.param(RUN, 50, id="run"), pytest.param(STUDY, 50, id="tuned study")]
)
def test_signals(subject: Subject, number: int, tmp_path: Path):
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGQUIT)
    assert kill_and_resume(tmp_path, tries(number), SEED, subject, Forked, signals) == []


@pytest.mark.parametrize(
    ("subject", "number", "most"),
    [pytest.param(RUN, 30, 2_000, id="run"), pytest.param(STUDY, 20, 600, id="tuned study")],
)
def test_full_disk(subject: Subject, number: int, most: int, disk: Path, tmp_path: Path):
    data, rng = subject.data(tmp_path / "data"), random.Random(SEED)
    assert run_script(subject.script, *subject.arguments(tmp_path / "untouched", data)).code == 0
    for i in range(tries(number)):
        kibibytes = rng.randrange(8, most)
        _remount(disk, f"size={kibibytes}k")
        ended = run_script(subject.script, *subject.arguments(disk / "workdir", data))
        assert ended.code == 0 or _is_one_line(ended), (i, kibibytes, ended)
        print(f"{kibibytes} KiB: {ended.err.strip() or 'enough'}", flush=True)
        _remount(disk, "size=64m")
        ended = run_script(subject.script, *subject.arguments(disk / "workdir", data))
        assert ended.code == 0, (i, kibibytes, ended)
        assert subject.differences(disk / "workdir", tmp_path / "untouched") == [], (i, kibibytes)
        shutil.rmtree(disk / "workdir")


def test_largest_file(untouched: tuple[Path, Path], tmp_path: Path):
    """A limit on the size of a file, as a quota sets; the script's own messages fit into it."""
    run, data = untouched
    rng = random.Random(SEED)
    for i in range(tries(20)):
        limit = int(10 ** rng.uniform(3, 5.7))
        ended = run_script("train", *RUN.arguments(tmp_path / "run", data), largest_file=limit)
        assert ended.code == 0 or _is_one_line(ended), (i, limit, ended)
        ended = run_script("train", *RUN.arguments(tmp_path / "run", data))
        assert ended.code == 0, (i, limit, ended)
        assert differences(tmp_path / "run", run) == [], (i, limit)
        shutil.rmtree(tmp_path / "run")


def test_read_only_disk(disk: Path, untouched: tuple[Path, Path], tmp_path: Path):
    run, data = untouched
    shutil.copytree(run, disk / "finished")
    shutil.copytree(run, disk / "stopped")
    (disk / "stopped" / "summary.json").unlink()
    _remount(disk, "ro")
    for name in ("finished", "stopped", "new"):
        ended = run_script("train", *RUN.arguments(disk / name, data))
        assert _is_one_line(ended), (name, ended)
    evaluated = run_script("evaluate", f"--workdir={disk / 'finished'}", "--split=val")
    assert evaluated.code == 0 or _is_one_line(evaluated), evaluated
    assert "Traceback" not in evaluated.err
    np.save(tmp_path / "image.npy", toy.split(1).images)
    predicted = run_script("predict", f"--workdir={disk / 'finished'}", tmp_path / "image.npy")
    assert (predicted.code, predicted.err) == (0, "")
    assert differences(disk / "finished", run) == []


@pytest.mark.parametrize(
    ("subject", "sign"),
    [pytest.param(RUN, "metrics.jsonl", id="run"), pytest.param(STUDY, "chunks.jsonl", id="tuned study")],
)
def test_workdir_deleted(subject: Subject, sign: str, tmp_path: Path):
    data, rng = subject.data(tmp_path / "data"), random.Random(SEED)
    more = ["--config.train.epochs=60"] if subject is RUN else ["--config.study.seeds=40"]
    for i in range(tries(15)):
        process, workdir, lines = (
            Forked(subject.script, *subject.arguments(tmp_path / "run", data), *more),
            tmp_path / "run",
            0,
        )
        wanted = rng.randrange(1, 4)
        while lines < wanted:
            assert process.returncode is None, process.communicate()
            lines = (workdir / sign).read_text().count("\n") if (workdir / sign).exists() else 0
            time.sleep(0.01)
        time.sleep(rng.uniform(0, 0.3))
        shutil.rmtree(workdir, ignore_errors=True)
        out, err = process.communicate()
        assert _is_one_line(Ended(process.returncode or 0, out, err)), (i, process.returncode, err)
        shutil.rmtree(workdir, ignore_errors=True)


def test_two_at_once(untouched: tuple[Path, Path], tmp_path: Path):
    run, data = untouched
    rng = random.Random(SEED)
    for i in range(tries(10)):
        first = Forked("train", *RUN.arguments(tmp_path / "run", data))
        time.sleep(rng.uniform(0, 3))
        second = Forked("train", *RUN.arguments(tmp_path / "run", data))
        errors = sorted(process.communicate()[1] for process in (first, second))
        assert sorted((first.returncode, second.returncode)) == [0, 2], (i, errors)
        assert errors[0] == ""
        assert re.fullmatch(r"error: .* is in use by another process; .*\n", errors[1])
        assert differences(tmp_path / "run", run) == [], i
        shutil.rmtree(tmp_path / "run")


def _set_back(rng: random.Random) -> Callable[[], float]:
    """A clock that is set back, by up to a day, at one of its first calls."""
    clock, calls = time.time, itertools.count()
    at, by = rng.randrange(500), rng.uniform(1, 86_400)
    return lambda: clock() - by * (next(calls) >= at)


def test_clock_set_back(tmp_path: Path, toy_data: Path, monkeypatch: pytest.MonkeyPatch):
    config = toy.toy_config(toy_data, data__val_examples=11, train__epochs=4)
    train(config, tmp_path / "untouched")
    write_run_report(tmp_path / "untouched")
    for i in range(tries(20)):
        with monkeypatch.context() as patch:
            patch.setattr(time, "time", _set_back(random.Random(f"{SEED} {i}")))
            train(config, tmp_path / "run")
            write_run_report(tmp_path / "run")
        assert differences(tmp_path / "run", tmp_path / "untouched") == [], i
        shutil.rmtree(tmp_path / "run")


def test_diverged_runs(tmp_path: Path, toy_data: Path):
    rng, diverged = random.Random(SEED), 0
    for i in range(tries(30)):
        changes = {"optimizer__name": rng.choice(optim.names()), "optimizer__learning_rate": 10 ** rng.uniform(0, 38)}
        config = toy.toy_config(toy_data, data__val_examples=11, train__epochs=3, **changes)
        summary = train(config, tmp_path / str(i))
        assert summary["status"] in ("finished", "diverged")
        assert train(config, tmp_path / str(i)) == summary
        write_run_report(tmp_path / str(i))
        diverged += summary["status"] == "diverged"
    print(f"{diverged} of {tries(30)} diverged")


@pytest.mark.parametrize("mode", ["quick", "tuned"])
@pytest.mark.parametrize("optimizers", ["sgd:learning_rate=1e30", "rmsprop,sgd:learning_rate=1e30"])
def test_diverged_studies(mode: str, optimizers: str, tmp_path: Path):
    settings = {"study__mode": mode, "study__optimizers": optimizers, "study__models": "toy"}
    ended = run_script("compare", *study_arguments(tmp_path / "study", write_csv(tmp_path / "data"), **settings))
    assert (ended.code, ended.err) == (0, "")
    assert re.search(r"finished: \d+ runs, [1-9]\d* of them diverged", ended.out)
