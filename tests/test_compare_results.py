from __future__ import annotations

import json
from pathlib import Path

import pytest

from fmnist_jax.compare.arms import parse_arms
from fmnist_jax.compare.config import study_config
from fmnist_jax.compare.plan import Division, Plan, make_plan
from fmnist_jax.compare.results import CHUNKS, RESULTS, Results
from fmnist_jax.compare.selection import winner
from fmnist_jax.errors import WorkdirError


def line(chunk: int, member: int, epoch: int, loss: float | None = 1.0) -> dict[str, object]:
    return {"chunk": chunk, "member": member, "epoch": epoch, "train_loss": loss, "val_loss": 1.0}


def took(chunk: int) -> dict[str, object]:
    return {"chunk": chunk, "members": 2}


@pytest.fixture(scope="module")
def plan() -> Plan:
    """Three chunks of two runs of three epochs."""
    config = study_config()
    config.study.update(optimizers=("adam",), epochs=(3,), seeds=6)
    division = Division("threads", lambda runs: [2] * (runs // 2))
    return make_plan(config, parse_arms(["adam"], tuned=False), lambda workload, arm: division)


# The second run of the second chunk diverges in its second epoch.
LINES = [
    [line(0, m, e) for m in (0, 1) for e in (1, 2, 3)],
    [*(line(1, 2, e) for e in (1, 2, 3)), line(1, 3, 1), line(1, 3, 2, None)],
    [line(2, m, e) for m in (4, 5) for e in (1, 2, 3)],
]


@pytest.fixture
def folder(plan: Plan, tmp_path: Path) -> Path:
    """A study of which two chunks are finished."""
    results = Results(tmp_path, plan)
    for chunk in (0, 1):
        results.add(took(chunk), LINES[chunk])
    return tmp_path


def test_what_is_added_is_there_again(folder: Path, plan: Plan):
    again = Results(folder, plan)
    assert again.lines == LINES[:2]
    assert again.chunks == [took(0), took(1)]
    assert again.runs == 4
    again.add(took(2), LINES[2])
    assert Results(folder, plan).lines == LINES


def test_a_file_is_only_ever_added_to(folder: Path, plan: Plan):
    before = {name: (folder / name).read_bytes() for name in (RESULTS, CHUNKS)}
    Results(folder, plan).add(took(2), LINES[2])
    for name, content in before.items():
        assert (folder / name).read_bytes().startswith(content)


def test_wherever_a_chunk_was_torn_the_ones_before_it_stay(folder: Path, plan: Plan):
    whole, chunks = (folder / RESULTS).read_bytes(), (folder / CHUNKS).read_bytes()
    first = len("".join(json.dumps(each) + "\n" for each in LINES[0]))
    for size in range(first, len(whole)):
        (folder / RESULTS).write_bytes(whole[:size])
        (folder / CHUNKS).write_bytes(chunks)
        found = Results(folder, plan)
        assert (found.lines, found.chunks) == (LINES[:1], [took(0)])
        assert (folder / RESULTS).read_bytes() == whole[:first]
        assert (folder / CHUNKS).read_bytes() == chunks[: len(chunks) // 2]


def test_a_torn_line_of_what_a_chunk_took_is_cut_off(folder: Path, plan: Plan):
    chunks = (folder / CHUNKS).read_bytes()
    (folder / CHUNKS).write_bytes(chunks + b'{"chunk": 2, "mem')
    assert Results(folder, plan).chunks == [took(0), took(1)]
    assert (folder / CHUNKS).read_bytes() == chunks


@pytest.mark.parametrize(
    ("number", "damaged", "problem"),
    [
        (2, "x", "line 2 is not JSON"),
        (2, "", "line 2 is not JSON"),
        (11, '{"chunk": 1', "line 11 is not JSON"),
        (3, "[1]", "line 3 is not a JSON object"),
        (3, json.dumps(line(0, 0, 2)), "line 1: chunk 0 is not whole"),
        (4, json.dumps(line(0, 7, 1)), "line 1: chunk 0 is not whole"),
        (4, '{"chunk": 0}', "line 1: chunk 0 is not whole"),
        (1, json.dumps(line(2, 0, 1)), "line 1 is not of chunk 0, the next"),
        (9, json.dumps(line(8, 2, 3)), "line 7: chunk 1 is not whole"),
    ],
)
def test_damage_in_the_middle_is_an_error_that_names_the_line(number, damaged, problem, folder: Path, plan: Plan):
    lines = (folder / RESULTS).read_text().splitlines()
    lines[number - 1] = damaged
    text = "".join(f"{each}\n" for each in lines)
    (folder / RESULTS).write_text(text)
    with pytest.raises(WorkdirError) as caught:
        Results(folder, plan)
    assert str(caught.value).startswith(f"{folder}/results.jsonl {problem}")
    assert str(caught.value).endswith("; restore it, or take another --workdir to start over")
    assert (folder / RESULTS).read_text() == text


def test_a_finished_chunk_whose_line_has_gone(folder: Path, plan: Plan):
    (folder / CHUNKS).write_text(json.dumps(took(1)) + "\n")
    with pytest.raises(
        WorkdirError, match=r"chunks\.jsonl does not have chunks 0 to 1, which are finished; restore it"
    ):
        Results(folder, plan)


def trial(number: int, accuracy: float, loss: float | None, *, first: float = 0.5) -> list[dict[str, object]]:
    numbers = {"learning_rate": number / 10}
    shared = {"member": 50 + number, "trial": number, "hyperparameters": numbers, "train_loss": 0.1}
    return [shared | {"val_accuracy": first, "val_loss": 0.0}, shared | {"val_accuracy": accuracy, "val_loss": loss}]


@pytest.mark.parametrize(
    ("trials", "number", "diverged"),
    [
        # The last epoch counts, not the best.
        ([trial(0, 0.7, 1.0), trial(1, 0.8, 1.0), trial(2, 0.6, 1.0, first=0.9)], 1, False),
        ([trial(0, 0.8, 1.0), trial(1, 0.8, 0.9), trial(2, 0.8, 0.9)], 1, False),
        ([trial(0, 0.1, 3.0), trial(1, 0.9, None)], 0, False),
        ([trial(0, 0.9, None), trial(1, 0.1, 3.0)], 1, False),
        ([trial(0, 0.1, None), trial(1, 0.2, None)], 0, True),
    ],
)
def test_the_winner_is_the_best_after_the_last_epoch(trials, number, diverged):
    found = winner([each for lines in trials for each in lines])
    assert found == (number, {"learning_rate": number / 10}, diverged)
