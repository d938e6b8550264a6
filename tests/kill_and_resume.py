"""Kills runs without warning at random moments, resumes them, and holds them against one that nobody touched.

python tests/kill_and_resume.py --kills=10 [--seed=0]
python tests/kill_and_resume.py --at-every-write

Moments are drawn evenly over a run's whole life: imports, compilation, epochs, checkpoints, scoring, the report. A run
that ends before its moment comes is compared and counts for nothing; the next begins anew. Takes about 20 s a kill.
With `--at-every-write` a run is killed once, just before it changes a file for the nth time, for every n: some 20
minutes.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np
from run_script import start_script, train_arguments, write_data

from fmnist_jax.train.scoring import load_trained

# What a clock measured differs from run to run.
_TIMES = ("examples_per_second", "train_seconds", "eval_seconds", "compile_seconds")
_SETTINGS = {"train__epochs": 4, "train__score_test": True}


def differences(run: Path, other: Path) -> list[str]:
    """Says in which of its results the finished run in the workdir `run` differs, by a bit or more, from `other`."""
    found = [name for name in ("config.json", "confusion_matrix.csv") if _bytes(run, name) != _bytes(other, name)]
    found += [name for name in ("summary.json", "metrics.jsonl") if _untimed(run / name) != _untimed(other / name)]
    found += [f"predictions.npz: {name}" for name in _unequal(_predictions(run), _predictions(other))]
    found += [f"checkpoint: {name}" for name in _unequal(_checkpoint(run), _checkpoint(other))]
    here, there = _files(run), _files(other)
    return found + [f"only one has {name}" for name in sorted(here ^ there)]


def kill_and_resume(folder: Path, kills: int, seed: int) -> list[str]:
    """Does what the module says, in `folder`; returns all differences found, each a line."""
    moments = random.Random(seed)
    data = write_data(folder / "data")
    started = time.monotonic()
    _finish(_start(folder / "untouched", data))
    life = time.monotonic() - started
    done, runs, found = 0, 0, []
    while done < kills:
        workdir = folder / f"run{runs}"
        started, moment = time.monotonic(), moments.uniform(0.05, life)
        if _kill(_start(workdir, data), moment):
            done += 1
            print(f"kill {done}, of run {runs} after {moment:.1f} s: {_stage(workdir)}", flush=True)
        else:
            # Shorter than the first, which compiled.
            life = min(life, time.monotonic() - started)
            found += _compared(workdir, folder / "untouched")
            runs += 1
    _finish(_start(workdir, data))
    return found + _compared(workdir, folder / "untouched")


def kill_at_every_write(folder: Path) -> list[str]:
    """Does what the module says, in `folder`; returns all differences found, each a line."""
    data, found = write_data(folder / "data"), []
    _finish(_start(folder / "untouched", data))
    for n in itertools.count(1):
        workdir = folder / f"write{n}"
        process = _start(workdir, data, die_in=workdir, die_at=n)
        process.communicate()
        if process.returncode == 0:
            return found
        print(f"killed before write {n}: {_stage(workdir)}", flush=True)
        _finish(_start(workdir, data))
        found += _compared(workdir, folder / "untouched")
    raise AssertionError("a run writes without end")


def _start(workdir: Path, data: Path, **hooks: object) -> subprocess.Popen[str]:
    return start_script("train", *train_arguments(workdir, data, **_SETTINGS), **hooks)


def _kill(process: subprocess.Popen[str], moment: float) -> bool:
    """Kills the process at its `moment`; false where it ended well before."""
    try:
        _finish(process, moment)
        return False
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return True


def _finish(process: subprocess.Popen[str], seconds: float | None = None) -> None:
    _, err = process.communicate(timeout=seconds)
    if process.returncode or err:
        raise RuntimeError(f"train.py ended with {process.returncode}: {err}")


def _stage(workdir: Path) -> str:
    """How far the killed run had come, by the files that it left."""
    epochs = len((workdir / "metrics.jsonl").read_text().splitlines()) if (workdir / "metrics.jsonl").exists() else 0
    marks = ("config.json", "summary.json", "report.html")
    there = [name for name in marks if (workdir / name).exists()]
    unfinished = sorted(str(p.relative_to(workdir)) for p in workdir.rglob("*tmp*"))
    return f"{epochs} epochs, has {', '.join(there) or 'nothing'}; half-written: {', '.join(unfinished) or 'nothing'}"


def _compared(workdir: Path, untouched: Path) -> list[str]:
    found = [f"{workdir.name}: {difference}" for difference in differences(workdir, untouched)]
    print(f"{workdir.name}: {'; '.join(found) or 'as the untouched one, bit for bit'}", flush=True)
    shutil.rmtree(workdir)
    return found


def _bytes(run: Path, name: str) -> bytes:
    return (run / name).read_bytes()


def _untimed(file: Path) -> list[dict[str, Any]]:
    text = file.read_text()
    records = [json.loads(text)] if file.suffix == ".json" else [json.loads(line) for line in text.splitlines()]
    return [{key: value for key, value in record.items() if key not in _TIMES} for record in records]


def _predictions(run: Path) -> dict[str, np.ndarray]:
    with np.load(run / "predictions.npz") as file:
        return dict(file)


def _checkpoint(run: Path) -> dict[str, np.ndarray]:
    checkpoint = load_trained(run).checkpoint
    leaves = jax.tree_util.tree_leaves_with_path(checkpoint.state)
    arrays = {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in leaves}
    return arrays | {"epoch": np.asarray(checkpoint.epoch)}


def _unequal(arrays: dict[str, np.ndarray], others: dict[str, np.ndarray]) -> list[str]:
    def bits(name: str, of: dict[str, np.ndarray]) -> tuple[Any, ...] | None:
        return (of[name].dtype, of[name].shape, of[name].tobytes()) if name in of else None

    return [name for name in sorted(arrays | others) if bits(name, arrays) != bits(name, others)]


def _files(run: Path) -> set[str]:
    """The run's files but for TensorBoard's, of which each process writes one, and those within a checkpoint."""
    names = {str(path.relative_to(run)) for path in run.rglob("*") if "tensorboard" not in path.parts}
    return {name for name in names if not name.startswith("checkpoints/") or name.count("/") == 1}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--at-every-write", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        every = arguments.at_every_write
        found = kill_at_every_write(folder) if every else kill_and_resume(folder, arguments.kills, arguments.seed)
    sys.exit("\n".join(found) or 0)


if __name__ == "__main__":
    main()
