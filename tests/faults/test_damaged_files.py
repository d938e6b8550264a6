"""A file of a workdir is damaged: the run or study ends as the untouched one, or one line says what is wrong."""

from __future__ import annotations

import collections
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import toy
from kill_and_resume import differences, study_differences
from ml_collections import ConfigDict
from mutations import damaged
from tries import SEED, tries

from fmnist_jax.compare.config import study_config
from fmnist_jax.compare.runner import compare
from fmnist_jax.errors import UserError
from fmnist_jax.report import write_run_report, write_study_report
from fmnist_jax.train.evaluation import evaluate
from fmnist_jax.train.loop import train

# Orbax reads all arrays at once; where one fails it closes its event loop, and the others complain.
pytestmark = [pytest.mark.faults, pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")]

EPOCHS = 3


def _damage(workdir: Path, rng: random.Random) -> str:
    """Damages or deletes a file; returns its name."""
    files = sorted(path for path in workdir.rglob("*") if path.is_file() and path.stat().st_size)
    kinds = sorted({path.parts[len(workdir.parts)] for path in files})
    kind = rng.choice(kinds)  # most files are of checkpoints
    path = rng.choice([path for path in files if path.parts[len(workdir.parts)] == kind])
    if rng.random() < 0.1:
        path.unlink()
    else:
        path.write_bytes(damaged(path.read_bytes(), rng))
    return str(path.relative_to(workdir))


def _refuses(call: Callable[[], Any]) -> bool:
    try:
        call()
    except UserError as error:
        assert str(error).strip()  # noqa: PT017
        return True
    return False


def _try_all(original: Path, folder: Path, number: int, check: Callable[[Path, str], str]) -> None:
    """Damages a file of so many copies of the workdir `original`, and counts what `check(copy, name)` says."""
    counts: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    for i in range(number):
        copy = Path(shutil.copytree(original, folder / str(i)))
        name = _damage(copy, random.Random(f"{SEED} {original.name} {i}"))
        try:
            outcome = check(copy, name)
        except BaseException as error:
            raise AssertionError(f"damage {i}, of {name}: see {copy}") from error
        counts[name.split("/")[0]][outcome] += 1
        shutil.rmtree(copy)
    for name, outcomes in sorted(counts.items()):
        print(f"{name}: {', '.join(f'{count} {outcome}' for outcome, count in sorted(outcomes.items()))}")


def _run_config(data: Path) -> ConfigDict:
    return toy.toy_config(data, data__val_examples=11, train__epochs=EPOCHS, augment__flip="random")


@pytest.fixture(scope="module")
def run(toy_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    workdir = tmp_path_factory.mktemp("runs") / "finished"
    train(_run_config(toy_data), workdir)
    return workdir


def test_of_a_run_to_be_resumed(run: Path, toy_data: Path, tmp_path: Path):
    stopped = Path(shutil.copytree(run, tmp_path / "stopped"))  # as killed before the last checkpoint was complete
    for name in ("summary.json", "confusion_matrix.csv", "predictions.npz"):
        (stopped / name).unlink()
    shutil.rmtree(stopped / "checkpoints" / str(EPOCHS))

    def check(workdir: Path, name: str) -> str:
        if _refuses(lambda: train(_run_config(toy_data), workdir)):
            return "refused"
        assert [each for each in differences(workdir, run) if each != name] == []
        return "as the untouched one"

    _try_all(stopped, tmp_path, tries(400), check)


def test_of_a_finished_run(run: Path, toy_data: Path, tmp_path: Path):
    def check(workdir: Path, name: str) -> str:
        calls = {
            "evaluate": lambda: evaluate(workdir, "val"),
            "report": lambda: write_run_report(workdir),
            "train": lambda: train(_run_config(toy_data), workdir),
        }
        refused = [what for what, call in calls.items() if _refuses(call)]
        return f"refused by {', '.join(refused)}" if refused else "accepted"

    _try_all(run, tmp_path, tries(300), check)


def _study_config(data: Path) -> ConfigDict:
    config = study_config()
    config.data.name, config.data.dir, config.data.val_examples = "csv", str(data), 11
    config.train.batch_size = toy.BATCH
    config.study.update({"optimizers": ("rmsprop", "adam"), "models": ("linear",), "epochs": (2,), "seeds": 3})
    config.study.update({"mode": "tuned", "trials": 3})
    return config


def test_of_a_study_to_be_resumed(toy_data: Path, tmp_path: Path):
    compare(_study_config(toy_data), tmp_path / "whole")
    stopped = Path(shutil.copytree(tmp_path / "whole", tmp_path / "stopped"))
    (stopped / "results.csv").unlink()
    lines = (stopped / "results.jsonl").read_bytes().splitlines(keepends=True)
    (stopped / "results.jsonl").write_bytes(b"".join(lines[:-3]))

    def check(workdir: Path, name: str) -> str:
        if _refuses(lambda: compare(_study_config(toy_data), workdir)):
            return "refused"
        _refuses(lambda: write_study_report(workdir))
        shutil.rmtree(workdir / "plots", ignore_errors=True)
        for made in ("report.html", "report.md", "summary.json", "table.csv"):
            (workdir / made).unlink(missing_ok=True)
        found = [each for each in study_differences(workdir, tmp_path / "whole") if each != name]
        return "as the untouched one" if not found else f"not noticed ({'; '.join(found)})"

    _try_all(stopped, tmp_path, tries(300), check)
