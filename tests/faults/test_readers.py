"""Readers given files at random damaged: each reads one or raises an error of the user's, in one line."""

from __future__ import annotations

import gzip
import io
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import csv_files
import idx_files
import numpy as np
import pytest
import toy
from mutations import damaged
from PIL import Image
from tries import SEED, tries

from fmnist_jax import data
from fmnist_jax.cli import flags
from fmnist_jax.compare.planned import Plan
from fmnist_jax.compare.results import Results, read_plan, read_runs
from fmnist_jax.config import schema as config_schema
from fmnist_jax.data.images import read_images
from fmnist_jax.errors import UserError
from fmnist_jax.files.reader import WorkdirReader
from fmnist_jax.report.run.workdir import read_run
from fmnist_jax.train.workdir import read_config, read_manifest

pytestmark = pytest.mark.faults

FORMATS = ("png", "jpeg", "gif", "bmp", "tiff", "webp", "ppm")
# fmt: off
_VALUES = (
    "", "0", "1", "3", "-1", "0.5", "1e999", "1e-50", "nan", "inf", "9" * 50, "0x10", "10%", "%", "3 epochs",
    "-5 steps", "a,b", ",", "1,2", "True", "none", "None", "[]", '{"a": 1}', "adam", "model1", "cosine", "é", "\udcff",
)
# fmt: on
MOST_SECONDS = 20.0  # for one input, on a busy machine


def _fuzz(path: Path, contents: list[bytes], read: Callable[[], Any], number: int) -> None:
    """Reads the first content, then so many damaged ones, from the file `path`; prints how it went."""
    path.write_bytes(contents[0])
    read()
    refused = 0
    for i in range(number):
        rng = random.Random(f"{SEED} {path.name} {i}")
        content = damaged(rng.choice(contents), rng)
        path.write_bytes(content)
        started = time.monotonic()
        try:
            read()
        except UserError:
            refused += 1
        except BaseException as error:
            raise AssertionError(f"input {i} of {path.name}: {content[:200]!r}") from error
        assert time.monotonic() - started < MOST_SECONDS, (path.name, i)
    print(f"{path.name}: {number} inputs, {refused} refused, {number - refused} read")


def _pictures() -> list[bytes]:
    rng = np.random.default_rng(0)
    found = []
    for name in FORMATS:
        for mode, shape in (("L", (28, 28)), ("RGB", (40, 31, 3))):
            buffer = io.BytesIO()
            Image.fromarray(rng.integers(0, 255, shape, np.uint8), mode).save(buffer, name)
            found.append(buffer.getvalue())
    return found


def _arrays() -> list[bytes]:
    found = []
    for array in (np.zeros((3, 28, 28), np.uint8), np.full((28, 28), 0.5), np.ones((30, 40, 3), np.uint8)):
        buffer = io.BytesIO()
        np.save(buffer, array)
        found.append(buffer.getvalue())
    idx = idx_files.encode(np.arange(3 * 784, dtype=np.uint8).reshape(3, 28, 28))
    return [*found, idx, gzip.compress(idx)]


def test_pictures(tmp_path: Path):
    _fuzz(tmp_path / "picture", _pictures(), lambda: read_images(tmp_path / "picture"), tries(12_000))
    _fuzz(tmp_path / "array", _arrays(), lambda: read_images(tmp_path / "array"), tries(6_000))


def _data_config(name: str, folder: Path) -> Any:
    config = toy.toy_config(folder, data__val_examples=5).data
    config.name = name
    return config


def test_csv(tmp_path: Path):
    csv_files.write(tmp_path, toy.split(20), toy.split(12))
    for path in sorted(tmp_path.iterdir()):
        content = path.read_bytes()
        _fuzz(path, [content], lambda: data.load(_data_config("csv", tmp_path)), tries(5_000))
        path.write_bytes(content)


def test_idx(tmp_path: Path):
    for name, split in (("train", toy.split(30)), ("t10k", toy.split(12))):
        idx_files.write(tmp_path / f"{name}-images-idx3-ubyte", split.images)
        idx_files.write(tmp_path / f"{name}-labels-idx1-ubyte", split.labels)
    for path in sorted(tmp_path.iterdir()):
        content = path.read_bytes()
        _fuzz(path, [content], lambda: data.load(_data_config("idx", tmp_path)), tries(2_000))
        path.unlink()
        packed = path.with_name(f"{path.name}.gz")
        _fuzz(packed, [gzip.compress(content)], lambda: data.load(_data_config("idx", tmp_path)), tries(1_000))
        packed.unlink()
        path.write_bytes(content)


def test_npz(tmp_path: Path):
    train, test = toy.split(30), toy.split(12)
    contents = []
    for save in (np.savez, np.savez_compressed):
        buffer = io.BytesIO()
        save(buffer, x_train=train.images, y_train=train.labels, x_test=test.images, y_test=test.labels)
        contents.append(buffer.getvalue())
    _fuzz(tmp_path / "own.npz", contents, lambda: data.load(_data_config("npz", tmp_path)), tries(8_000))


def test_files_of_a_run(tmp_path: Path, finished: Path):
    def read() -> None:
        for reader in (read_config, read_manifest, read_run):
            reader(tmp_path)

    names = ("config.json", "manifest.json", "metrics.jsonl", "summary.json", "confusion_matrix.csv", "predictions.npz")
    for name in names:
        (tmp_path / name).write_bytes((finished / name).read_bytes())
    for name in names:
        content = (tmp_path / name).read_bytes()
        _fuzz(tmp_path / name, [content], read, tries(2_000))
        (tmp_path / name).write_bytes(content)


def test_files_of_a_study(tmp_path: Path):
    study = Path(__file__).parents[2] / "docs" / "studies" / "2c2d"
    reader = WorkdirReader(tmp_path, "restore it")
    names = ("plan.json", "results.jsonl", "chunks.jsonl")
    contents = {name: (study / name).read_bytes() for name in names}
    for name in names:

        def read(damaged: str = name) -> None:
            for other in {*names} - {damaged}:  # a reader truncates what no plan has
                (tmp_path / other).write_bytes(contents[other])
            plan: Plan = read_plan(reader)
            read_runs(reader)
            Results(tmp_path, plan)

        _fuzz(tmp_path / name, [contents[name]], read, tries(2_000))


def test_values_of_config_keys(monkeypatch: pytest.MonkeyPatch):
    flags.define_config()
    keys = list(config_schema.settable(config_schema.SCHEMA))
    rng, refused, number = random.Random(SEED), 0, tries(10_000)
    for _ in range(number):
        key, value = rng.choice(keys), rng.choice(_VALUES)
        argument = f"--config.{key}={value}"
        monkeypatch.setattr(sys, "argv", ["train.py", "--config=configs/smoke.py", argument])  # ml_collections reads it
        try:
            flags.parse(sys.argv)
            config_schema.validate(flags.FLAGS["config"].value)
        except UserError:
            refused += 1
        except BaseException as error:
            raise AssertionError(argument) from error
        delattr(flags.FLAGS, f"config.{key}")
    print(f"flags: {number} inputs, {refused} refused, {number - refused} read")
