from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import pytest

from fmnist_jax.compare.arms import parse_arms
from fmnist_jax.compare.config import study_config
from fmnist_jax.compare.plan import Chunking, make_plan
from fmnist_jax.compare.planned import Plan
from fmnist_jax.compare.records import ChunkTiming, RunEpoch, TrainedRun
from fmnist_jax.compare.results import CHUNKS, RESULTS, Results
from fmnist_jax.errors import WorkdirError


def line(chunk: int, member: int, epoch: int, loss: float = 1.0, **others: Any) -> RunEpoch:
    values = {"model": "model3", "epochs": 3, "schedule": "constant", "arm": "adam", "optimizer": "adam"}
    values |= {"phase": "final", "trial": 0, "seed": member, "hyperparameters": {"learning_rate": 1e-3}}
    values |= {"member": member, "chunk": chunk, "epoch": epoch, "step": 10 * epoch, "train_loss": loss}
    values |= {"train_accuracy": 0.5, "val_loss": 1.0, "val_accuracy": 0.5, "train_seconds": 2.0, "eval_seconds": 0.5}
    return RunEpoch(**values | others)


def text(each: RunEpoch) -> str:
    return json.dumps({key: value for key, value in vars(each).items() if value is not None})


def timing(chunk: int) -> ChunkTiming:
    return ChunkTiming(chunk, 2, 1.0, 12.0, 3.0, "threads", "cpu")


@pytest.fixture(scope="module")
def plan() -> Plan:
    """Three chunks of two runs of three epochs."""
    config = study_config()
    config.study.update(optimizers=("adam",), epochs=(3,), seeds=6)
    chunking = Chunking("threads", lambda runs: [2] * (runs // 2))
    return make_plan(config, parse_arms(["adam"], tuned=False), lambda workload, arm: chunking)


def run(chunk: int, member: int, *losses: float) -> TrainedRun:
    return TrainedRun([line(chunk, member, epoch, loss) for epoch, loss in enumerate(losses, start=1)])


# The second run of the second chunk diverges in its second epoch.
RUNS = [
    [run(0, 0, 1.0, 1.0, 1.0), run(0, 1, 1.0, 1.0, 1.0)],
    [run(1, 2, 1.0, 1.0, 1.0), run(1, 3, 1.0, math.nan)],
    [run(2, 4, 1.0, 1.0, 1.0), run(2, 5, 1.0, 1.0, 1.0)],
]


@pytest.fixture
def folder(plan: Plan, tmp_path: Path) -> Path:
    """A study of which two chunks are finished."""
    results = Results(tmp_path, plan)
    for chunk in (0, 1):
        results.add(timing(chunk), RUNS[chunk])
    return tmp_path


def test_what_is_added_is_there_again(folder: Path, plan: Plan):
    again = Results(folder, plan)
    assert again.runs == RUNS[0] + RUNS[1]
    assert again.timings == [timing(0), timing(1)]
    again.add(timing(2), RUNS[2])
    assert Results(folder, plan).runs == RUNS[0] + RUNS[1] + RUNS[2]


def test_a_file_is_only_ever_added_to(folder: Path, plan: Plan):
    before = {name: (folder / name).read_bytes() for name in (RESULTS, CHUNKS)}
    Results(folder, plan).add(timing(2), RUNS[2])
    for name, content in before.items():
        assert (folder / name).read_bytes().startswith(content)


def test_wherever_a_chunk_was_torn_the_ones_before_it_stay(folder: Path, plan: Plan):
    whole, chunks = (folder / RESULTS).read_bytes(), (folder / CHUNKS).read_bytes()
    first = sum(len(each) for each in whole.splitlines(keepends=True)[:6])
    for size in range(first, len(whole)):
        (folder / RESULTS).write_bytes(whole[:size])
        (folder / CHUNKS).write_bytes(chunks)
        found = Results(folder, plan)
        assert (found.runs, found.timings) == (RUNS[0], [timing(0)])
        assert (folder / RESULTS).read_bytes() == whole[:first]
        assert (folder / CHUNKS).read_bytes() == chunks[: len(chunks) // 2]


def test_a_torn_line_of_what_a_chunk_took_is_cut_off(folder: Path, plan: Plan):
    chunks = (folder / CHUNKS).read_bytes()
    (folder / CHUNKS).write_bytes(chunks + b'{"chunk": 2, "mem')
    assert Results(folder, plan).timings == [timing(0), timing(1)]
    assert (folder / CHUNKS).read_bytes() == chunks


@pytest.mark.parametrize(
    ("number", "damaged", "problem"),
    [
        (2, "x", "line 2 is not JSON"),
        (2, "", "line 2 is not JSON"),
        (11, '{"chunk": 1', "line 11 is not JSON"),
        (3, "[1]", "line 3 is not a JSON object"),
        (3, text(line(0, 0, 2)), "line 1: chunk 0 is not complete"),
        (4, text(line(0, 7, 1)), "line 1: chunk 0 is not complete"),
        (4, '{"chunk": 0}', "line 4 lacks 'model'"),
        (5, text(line(0, 1, 2, val_accuracy=1.5)), "line 5 has val_accuracy = 1.5, which is not between 0 and 1"),
        (1, text(line(2, 0, 1)), "line 1 is not of chunk 0, the next"),
        (9, text(line(8, 2, 3)), "line 7: chunk 1 is not complete"),
    ],
)
def test_damage_in_the_middle_is_an_error_that_names_the_line(number, damaged, problem, folder: Path, plan: Plan):
    lines = (folder / RESULTS).read_text().splitlines()
    lines[number - 1] = damaged
    written = "".join(f"{each}\n" for each in lines)
    (folder / RESULTS).write_text(written)
    with pytest.raises(WorkdirError) as caught:
        Results(folder, plan)
    assert str(caught.value).startswith(f"{folder}/results.jsonl {problem}")
    assert str(caught.value).endswith("; restore it, or take another --workdir to start over")
    assert (folder / RESULTS).read_text() == written


def test_a_finished_chunk_whose_line_has_gone(folder: Path, plan: Plan):
    (folder / CHUNKS).write_text((folder / CHUNKS).read_text().splitlines(keepends=True)[1])
    with pytest.raises(
        WorkdirError, match=r"chunks\.jsonl does not have chunks 0 to 1, which are finished; restore it"
    ):
        Results(folder, plan)


def test_timings_of_an_older_version_are_an_error_that_says_so(folder: Path, plan: Plan):
    (folder / CHUNKS).write_text((folder / CHUNKS).read_text().replace("executor", "strategy"))
    with pytest.raises(WorkdirError, match=r"chunks\.jsonl was written by an older version .* key 'strategy'"):
        Results(folder, plan)


def test_a_figure_that_is_not_finite_is_null_and_one_that_was_not_taken_is_not_written(tmp_path: Path, plan: Plan):
    figures = {"test_loss": math.nan, "test_accuracy": math.nan, "dataset": "mine", "classes": 3}
    figures |= {"batch_size": 8, "warmup": "5%", "stop_after": 3}
    scored = [line(0, 0, 3, **figures, metrics={"val_nll": 0.5, "test_nll": math.nan})]
    runs = [TrainedRun([*run(0, 0, 1.0, 1.0).history, *scored]), run(0, 1, 1.0, 1.0, 1.0)]
    Results(tmp_path, plan).add(timing(0), runs)
    written = [json.loads(each) for each in (tmp_path / RESULTS).read_text().splitlines()]
    assert [each.get("test_loss", "absent") for each in written] == ["absent", "absent", None, *["absent"] * 3]
    names = [field.name for field in dataclasses.fields(RunEpoch) if field.name != "metrics"]
    assert list(written[2]) == [*names, "val_nll", "test_nll"]
    assert (written[2]["val_nll"], written[2]["test_nll"]) == (0.5, None)
    assert Results(tmp_path, plan).runs == runs
