from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import optax
import pytest

from fmnist_jax import optim
from fmnist_jax.compare.arms import parse_arms
from fmnist_jax.compare.config import study_config
from fmnist_jax.compare.plan import Chunking, final_seeds, make_plan, tuning_seeds
from fmnist_jax.compare.planned import Plan, SearchRange
from fmnist_jax.compare.records import Workload
from fmnist_jax.compare.results import read_plan, write_plan
from fmnist_jax.errors import WorkdirError
from fmnist_jax.files.reader import WorkdirReader
from fmnist_jax.optim import Hyperparameter, Optimizer


def _plan(max_concurrent: int = 2, **study: Any) -> Plan:
    """The plan of a study with `max_concurrent` runs a chunk."""
    config = study_config()
    config.data.val_examples = 10
    config.study.update(study)
    arms = parse_arms(config.study.optimizers, tuned=config.study.mode == "tuned")

    def sizes(runs: int) -> Sequence[int]:
        return [min(max_concurrent, runs - start) for start in range(0, runs, max_concurrent)]

    return make_plan(config, arms, lambda workload, arm: Chunking("threads", sizes))


def test_a_quick_study_is_each_arm_with_the_same_seeds_under_each_workload():
    plan = _plan(optimizers=("adam", "sgd:learning_rate=0.5"), models=("model1", "model3"), epochs=(1, 4), seeds=3)
    assert [chunk.chunk for chunk in plan.chunks] == list(range(2 * 2 * 2 * 2))
    assert [member.member for chunk in plan.chunks for member in chunk.members] == list(range(24))
    cells = list(dict.fromkeys(chunk.cell for chunk in plan.chunks))
    arms = ("adam", "sgd:learning_rate=0.5")
    assert cells == [(Workload(m, e, "constant"), a) for m in ("model1", "model3") for e in (1, 4) for a in arms]
    for cell in cells:
        chunks = [chunk for chunk in plan.chunks if chunk.cell == cell]
        assert [len(chunk.members) for chunk in chunks] == [2, 1]
        assert {(chunk.phase, chunk.executor, chunk.padded_size) for chunk in chunks} == {("final", "threads", 2)}
        members = [member for chunk in chunks for member in chunk.members]
        assert [member.seed for member in members] == [0, 1, 2]
        assert {member.trial for member in members} == {0}
        assert all(
            member.hyperparameters["learning_rate"] == (1e-3 if cell.arm == "adam" else 0.5) for member in members
        )
    assert plan.runs == 24
    assert plan.run_epochs == 2 * 2 * 3 * (1 + 4)
    assert plan.spaces == {}


def test_a_tuned_study_tries_each_arm_as_often_then_leaves_its_final_runs_to_the_winner():
    plan = _plan(mode="tuned", optimizers=("adam", "sgd"), trials=3, seeds=4)
    for arm in ("adam", "sgd"):
        tune, final = ([c for c in plan.chunks if c.arm == arm and c.phase == phase] for phase in ("tune", "final"))
        assert [chunk.chunk for chunk in tune] < [chunk.chunk for chunk in final]
        trials = [member for chunk in tune for member in chunk.members]
        assert [(member.trial, member.seed) for member in trials] == [(i, 1_000_000 + i) for i in range(3)]
        assert trials[0].hyperparameters == optim.resolve(arm, {})
        assert [(m.trial, m.hyperparameters, m.seed) for c in final for m in c.members] == [
            (None, None, seed) for seed in range(4)
        ]
    assert list(plan.spaces) == ["adam", "sgd"]
    assert plan.spaces["sgd"] == {"learning_rate": SearchRange(default=0.01, low=1e-3, high=1.0, scale="log")}


def test_a_trial_of_several_seeds_is_one_setting_with_seeds_of_its_own():
    study = {"mode": "tuned", "optimizers": ("adam",), "trials": 3, "seeds": 2}
    trials = [
        run for chunk in _plan(**study, seeds_per_trial=2).chunks if chunk.phase == "tune" for run in chunk.members
    ]
    assert [(run.trial, run.seed) for run in trials] == [(i // 2, 1_000_000 + i) for i in range(6)]
    alone = [run.hyperparameters for chunk in _plan(**study).chunks for run in chunk.members][:3]
    assert [run.hyperparameters for run in trials] == [alone[0], alone[0], alone[1], alone[1], alone[2], alone[2]]


def test_what_an_arm_fixes_is_not_in_its_space():
    plan = _plan(mode="tuned", optimizers=("adam:b1=0.8", "sgd:learning_rate=0.1"), trials=5)
    assert list(plan.spaces["adam:b1=0.8"]) == ["learning_rate", "b2", "eps"]
    assert plan.spaces["sgd:learning_rate=0.1"] == {}
    assert sum(len(c.members) for c in plan.chunks if c.optimizer == "sgd" and c.phase == "tune") == 1


@pytest.mark.parametrize("seed", [0, 7, 2**31 - 1])
def test_seeds_of_trials_and_of_final_runs_are_different_and_those_of_a_config(seed):
    config = study_config()
    config.seed = seed
    config.study.mode, config.study.seeds, config.study.trials = "tuned", 1000, 10_000
    final, tuning = final_seeds(config), tuning_seeds(config)
    assert final[0] == seed
    assert len({*final, *tuning}) == 11_000
    assert all(0 <= each < 2**31 for each in final + tuning)


def test_a_program_is_compiled_for_both_phases_unless_one_would_leave_most_of_it_idle():
    def padded(**study: int) -> dict[str, int]:
        return {
            chunk.phase: chunk.padded_size for chunk in _plan(50, mode="tuned", optimizers=("sgd",), **study).chunks
        }

    assert padded(trials=20, seeds=10) == {"tune": 20, "final": 20}
    assert padded(trials=20, seeds=9) == {"tune": 20, "final": 9}
    assert padded(trials=3, seeds=10) == {"tune": 3, "final": 10}


def test_runs_that_no_one_program_can_train_are_in_chunks_of_their_own(monkeypatch):
    monkeypatch.setattr(optim.OPTIMIZERS, "entries", dict(optim.OPTIMIZERS.entries))
    space = {
        "learning_rate": Hyperparameter(1e-3, 1e-5, 1e-1),
        # Its default leaves it out.
        "weight_decay": Hyperparameter(0.0, 1e-5, 1e-1),
    }
    optim.register("mine", Optimizer(lambda rate, weight_decay: optax.identity(), space, "nothing"))
    plan = _plan(50, mode="tuned", optimizers=("mine",), trials=6)
    trials = [[sorted(m.hyperparameters) for m in c.members] for c in plan.chunks if c.phase == "tune"]
    assert trials == [[["learning_rate"]], [["learning_rate", "weight_decay"]] * 5]


@pytest.fixture
def reader(tmp_path: Path) -> WorkdirReader:
    return WorkdirReader(tmp_path, "restore it, or take another --workdir")


def test_a_plan_survives_its_file(reader: WorkdirReader):
    plan = _plan(mode="tuned", optimizers=("adam", "sgd:learning_rate=0.1"), trials=3, seeds=2)
    write_plan(reader.path, plan)
    assert read_plan(reader) == plan


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        ("cut", "is not JSON"),
        ("chunk", "lacks 'chunks'"),
        ("key", "lacks 'members'"),
        ("kind", "has padded_size = '2', which is not an integer"),
        ("phase", "has phase = 'finl', which is not tune or final"),
        ("order", "does not have its chunks in order"),
        ("gone", "is missing"),
    ],
)
def test_a_damaged_plan_is_an_error_that_names_it(damage: str, problem: str, reader: WorkdirReader):
    file = reader.path / "plan.json"
    write_plan(reader.path, _plan())
    found = json.loads(file.read_text())
    if damage == "chunk":
        del found["chunks"]
    elif damage == "key":
        found["chunks"][0]["membres"] = found["chunks"][0].pop("members")
    elif damage == "kind":
        found["chunks"][0]["padded_size"] = "2"
    elif damage == "phase":
        found["chunks"][0]["phase"] = "finl"
    elif damage == "order":
        found["chunks"].reverse()
    file.write_text(json.dumps(found)[: 100 if damage == "cut" else None])
    if damage == "gone":
        file.unlink()
    with pytest.raises(WorkdirError) as caught:
        read_plan(reader)
    assert str(caught.value) == f"{file} {problem}; restore it, or take another --workdir"


@pytest.mark.parametrize(("new", "old"), [("padded_size", "places"), ("executor", "strategy")])
def test_the_plan_of_an_older_version_is_an_error_that_says_so(new: str, old: str, reader: WorkdirReader):
    write_plan(reader.path, _plan())
    file = reader.path / "plan.json"
    file.write_text(file.read_text().replace(f'"{new}"', f'"{old}"'))
    with pytest.raises(WorkdirError, match=rf"plan\.json was written by an older version .* key '{old}'; continue"):
        read_plan(reader)


def test_each_data_set_is_a_workload_with_each_model(tmp_path):
    plan = _plan(datasets=("mnist", "kmnist"), models=("model1", "model3"), optimizers=("adam",), seeds=2)
    names = [f"{data}, {model}, 10 epochs, constant" for data in ("mnist", "kmnist") for model in ("model1", "model3")]
    assert [chunk.cell.workload.name for chunk in plan.chunks] == names
    write_plan(tmp_path, plan)
    assert read_plan(WorkdirReader(tmp_path, "")) == plan


def test_the_plan_of_a_study_that_names_no_data_set_is_as_it_was_before_there_were_several(tmp_path):
    plan = _plan()
    write_plan(tmp_path, plan)
    assert "dataset" not in (tmp_path / "plan.json").read_text()
    assert read_plan(WorkdirReader(tmp_path, "")) == plan
