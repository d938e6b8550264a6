from __future__ import annotations

import csv
import hashlib
import json
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fake_population
import jax
import numpy as np
import pytest
import toy
from fake_population import FakePopulation
from ml_collections import ConfigDict

from fmnist_jax.compare import runner
from fmnist_jax.compare.config import study_config
from fmnist_jax.compare.runner import compare
from fmnist_jax.errors import ConfigError, DataError, WorkdirError
from fmnist_jax.train.interrupts import Interrupted
from fmnist_jax.train.loop import train
from fmnist_jax.train.run import make_run, member_of

FILES = {"config.json", "manifest.json", "plan.json", "results.jsonl", "chunks.jsonl", "results.csv", ".lock"}


@pytest.fixture
def fake(monkeypatch) -> type[FakePopulation]:
    """Puts a population that trains nothing in place of the real one."""
    monkeypatch.setattr(FakePopulation, "trained", [], raising=False)
    monkeypatch.setattr(FakePopulation, "before_chunk", staticmethod(lambda number: None), raising=False)
    monkeypatch.setattr(runner, "Population", FakePopulation)
    return FakePopulation


@pytest.fixture
def small(toy_data: Path) -> Callable[..., ConfigDict]:
    """Makes the config of a small study; arguments are keys of its section `study`."""

    def make(**study: Any) -> ConfigDict:
        config = study_config()
        config.data.name, config.data.dir, config.data.val_examples = "csv", str(toy_data), 11
        config.train.batch_size = toy.BATCH
        config.study.update({"optimizers": ("rmsprop", "adam"), "models": ("toy",), "epochs": (2,), "seeds": 3} | study)
        return config

    return make


def lines(workdir: Path, **what: Any) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in (workdir / "results.jsonl").read_text().splitlines()]
    return [line for line in found if all(line[key] == value for key, value in what.items())]


def contents(workdir: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in workdir.iterdir() if path.name != "manifest.json"}


def test_a_quick_study_leaves_what_is_promised(fake, small, tmp_path):
    assert compare(small(), tmp_path) == {"runs": 6, "diverged": 0}
    assert {path.name for path in tmp_path.iterdir()} == FILES
    found = lines(tmp_path)
    assert len(found) == 2 * 3 * 2
    assert [(line["arm"], line["seed"], line["epoch"]) for line in found] == [
        (arm, seed, epoch) for arm in ("rmsprop", "adam") for seed in (0, 1, 2) for epoch in (1, 2)
    ]
    assert found[0] | {"val_accuracy": 0, "train_accuracy": 0} == {
        "model": "toy",
        "epochs": 2,
        "schedule": "constant",
        "arm": "rmsprop",
        "optimizer": "rmsprop",
        "phase": "final",
        "trial": 0,
        "seed": 0,
        "hyperparameters": {"learning_rate": 0.001, "decay": 0.9, "eps": 1e-7},
        "member": 0,
        "chunk": 0,
        "epoch": 1,
        "step": 3,
        "train_loss": 1.0,
        "train_accuracy": 0,
        "val_loss": 1.0,
        "val_accuracy": 0,
        "train_seconds": 1.0,  # the chunk's by its two members
        "eval_seconds": 0.25,
    }
    chunks = [json.loads(line) for line in (tmp_path / "chunks.jsonl").read_text().splitlines()]
    assert [(each["chunk"], each["members"]) for each in chunks] == [(0, 2), (1, 1), (2, 2), (3, 1)]
    figures = {
        "compile_seconds": 1.0,
        "train_seconds": 4.0,
        "eval_seconds": 1.0,
        "executor": "threads",
        "device": "fake",
        "parameter_bytes": 400,
        "optimizer_bytes": 800,
    }
    assert chunks[0] == {"chunk": 0, "members": 2} | figures
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["models"] == {"toy": 730}
    assert manifest["data"]["examples"] == {"train": 39, "val": 11, "test": 23}
    assert manifest["seeds"] == {"final": [0, 1, 2], "tune": []}


def test_the_manifest_has_the_config_file_with_its_digest(fake, small, tmp_path):
    file = tmp_path / "config.py"
    file.write_text("# a config\n")
    compare(small(), tmp_path / "study", file)
    recorded = json.loads((tmp_path / "study" / "manifest.json").read_text())["config_file"]
    assert recorded == {"path": str(file), "sha256": hashlib.sha256(file.read_bytes()).hexdigest()}


def test_the_table_has_a_row_for_each_final_run(fake, small, tmp_path):
    optimizers = ("adam", "sgd:learning_rate=0.9")
    compare(small(mode="tuned", trials=2, seeds=2, optimizers=optimizers, score_test=True), tmp_path)
    with (tmp_path / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["arm"], row["seed"], row["diverged"]) for row in rows] == [
        ("adam", "0", "False"),
        ("adam", "1", "False"),
        ("sgd:learning_rate=0.9", "0", "True"),
        ("sgd:learning_rate=0.9", "1", "True"),
    ]
    for row in rows:
        last = lines(tmp_path, member=int(row["member"]))[-1]
        sound = last["val_loss"] is not None
        assert row["epoch"] == str(last["epoch"]) == ("2" if sound else "1")
        assert row["val_accuracy"] == str(last["val_accuracy"])
        assert row["val_loss"] == ("1.0" if sound else "")
        assert row["test_accuracy"] == (str(last["val_accuracy"]) if sound else "")
        assert row["train_seconds"] == ("2.0" if sound else "1.0")
        assert row["learning_rate"] == str(last["hyperparameters"]["learning_rate"])
    assert rows[2]["b1"] == ""


def test_the_final_runs_take_the_settings_of_the_best_trial(fake, small, tmp_path):
    compare(small(mode="tuned", trials=5, epochs=(2, 3), score_test=True), tmp_path)
    for epochs in (2, 3):
        for arm in ("rmsprop", "adam"):
            tune = lines(tmp_path, arm=arm, epochs=epochs, phase="tune", epoch=epochs)
            final = lines(tmp_path, arm=arm, epochs=epochs, phase="final")
            assert [line["trial"] for line in tune] == [0, 1, 2, 3, 4]
            assert [line["seed"] for line in tune] == [1_000_000 + i for i in range(5)]
            best = max(tune, key=lambda line: line["val_accuracy"])
            for line in final:
                assert (line["trial"], line["hyperparameters"]) == (best["trial"], best["hyperparameters"])
    assert {line["seed"] for line in lines(tmp_path, phase="final")} == {0, 1, 2}


def test_the_score_of_a_trial_is_the_mean_over_its_seeds(fake, small, tmp_path):
    arms = ("adam", "rmsprop", "sgd", "momentum")
    compare(small(mode="tuned", optimizers=arms, trials=4, seeds_per_trial=3), tmp_path)
    luckiest = []
    for arm in arms:
        scores: dict[int, list[float]] = {trial: [] for trial in range(4)}
        for line in lines(tmp_path, arm=arm, phase="tune"):
            if line["epoch"] == 2 or line["val_loss"] is None:
                scores[line["trial"]].append(line["val_accuracy"] if line["epoch"] == 2 else -1.0)
        assert [len(each) for each in scores.values()] == [3] * 4
        best = max(scores, key=lambda trial: sum(scores[trial]))
        assert {line["trial"] for line in lines(tmp_path, arm=arm, phase="final")} == {best}
        luckiest.append(best == max(scores, key=lambda trial: max(scores[trial])))
    assert not all(luckiest)


def test_runs_of_one_batch_size_and_warmup_are_trained_together_and_the_final_ones_with_the_best(
    fake, small, tmp_path, capsys
):
    lists = {"batch_sizes": (4, 8), "warmups": ("0 steps", "1 epoch"), "weight_decays": (0.0, 0.1)}
    compare(small(mode="tuned", optimizers=("sgd",), trials=9, **lists), tmp_path)
    for each in json.loads((tmp_path / "plan.json").read_text())["chunks"]:
        kinds = {(run.get("batch_size"), run.get("warmup"), *(run["hyperparameters"] or ())) for run in each["members"]}
        assert len(kinds) == 1
    trained = [(each["config"].train.batch_size, each["config"].schedule.warmup) for each in fake.trained]
    assert {size for size, _ in trained} == {toy.BATCH, 4, 8}
    tune = lines(tmp_path, phase="tune")
    found = [(line.get("batch_size", toy.BATCH), line.get("warmup", "0 steps")) for line in tune]
    chunks = [line["chunk"] for line in tune]
    assert found == [trained[chunk] for chunk in chunks]
    best = max((line for line in tune if line["epoch"] == 2), key=lambda line: line["val_accuracy"])
    settings = ("trial", "hyperparameters", "batch_size", "warmup")
    for line in lines(tmp_path, phase="final"):
        assert all(line.get(key) == best.get(key) for key in settings)
    assert trained[-1] == (best.get("batch_size", toy.BATCH), best.get("warmup", "0 steps"))
    if "batch_size" in best:
        assert f"batch_size={best['batch_size']}, warmup={best['warmup']}" in capsys.readouterr().out
        assert f",{best['batch_size']}," in (tmp_path / "results.csv").read_text()


def ranking(found: list[dict[str, Any]], seeds: int) -> list[int]:
    """The trials of a rung by their last lines, the best first; `seeds` of each."""
    scores: dict[int, float] = {}
    for line in found:
        lost = line["val_loss"] is None
        scores[line["trial"]] = scores.get(line["trial"], 0.0) + (-9.0 if lost else line["val_accuracy"] / seeds)
    return sorted(scores, key=lambda trial: -scores[trial])


@pytest.mark.parametrize("seeds", [1, 2])
def test_the_best_trials_of_a_rung_go_on_and_the_best_of_the_last_one_wins(seeds, fake, small, tmp_path):
    arms = ("rmsprop", "adam")
    study = {"mode": "tuned", "optimizers": arms, "epochs": (5,), "trials": 8, "seeds_per_trial": seeds, "halving": 2}
    compare(small(**study), tmp_path)
    assert [each["epochs"] for each in fake.trained] == [*[1] * 4 * seeds, *[2] * 2 * seeds, *[5] * seeds, 5, 5] * 2
    used: list[set[int]] = []
    for arm in arms:
        before, going = None, []
        for epochs, trials in ((1, 8), (2, 4), (5, 2)):
            rung = [line for line in lines(tmp_path, arm=arm, phase="tune") if line.get("stop_after", 5) == epochs]
            last = [line for line in rung if line["epoch"] == epochs or line["val_loss"] is None]
            assert len(last) == trials * seeds
            going = list(dict.fromkeys(line["trial"] for line in last))
            assert before is None or going == before[:trials]
            before = ranking(last, seeds)
        assert {line["trial"] for line in lines(tmp_path, arm=arm, phase="final")} == {before[0]}
        used.append({line["seed"] for line in lines(tmp_path, arm=arm, phase="tune")})
    assert used[0] == used[1] == {1_000_000 + i for i in range(14 * seeds)}


def test_the_test_set_is_scored_in_the_last_line_of_final_runs_alone(fake, small, tmp_path):
    compare(small(mode="tuned", trials=2, score_test=True), tmp_path / "scored")
    for line in lines(tmp_path / "scored"):
        scored = line["phase"] == "final" and line["epoch"] == 2
        assert ("test_accuracy" in line, "test_loss" in line) == (scored, scored)
    assert [each["score_test"] for each in fake.trained] == [False, True, True] * 2
    compare(small(), tmp_path / "not")
    assert not any("test_accuracy" in line for line in lines(tmp_path / "not"))


def test_all_trials_diverged_so_that_the_defaults_are_taken_with_a_warning(fake, small, tmp_path, capsys):
    compare(small(mode="tuned", optimizers=("adam:learning_rate=0.9",), trials=3), tmp_path)
    assert {line["trial"] for line in lines(tmp_path, phase="final")} == {0}
    assert all(line["epoch"] == 1 and line["val_loss"] is None for line in lines(tmp_path))
    printed = capsys.readouterr().out
    assert "warning: every trial diverged; the final runs take the defaults: learning_rate=0.9, b1=0.9" in printed
    assert "3 of 3 diverged" not in printed  # chunks are of two
    assert "2 of 2 diverged" in printed


@pytest.mark.parametrize(("study", "chunks"), [({}, 4), ({"halving": 2, "optimizers": ("sgd",)}, 5)])
def test_stopped_at_any_chunk_and_resumed_a_study_is_the_untouched_one(
    study, chunks, fake, small, tmp_path, monkeypatch
):
    config = small(**{"mode": "tuned", "trials": 3, "seeds": 3} | study)
    compare(config, tmp_path / "untouched")
    chunks *= len(config.study.optimizers)
    assert len(fake.trained) == chunks

    class Stop(Exception):
        pass

    def stop_at(chunk: int) -> Callable[[int], None]:
        def stop(number: int) -> None:
            if number == chunk:
                raise Stop

        return stop

    for chunk in range(chunks):
        fake.trained.clear()
        monkeypatch.setattr(FakePopulation, "before_chunk", staticmethod(stop_at(chunk)))
        with pytest.raises(Stop):
            compare(config, tmp_path / str(chunk))
        monkeypatch.setattr(FakePopulation, "before_chunk", staticmethod(lambda number: None))
        compare(config, tmp_path / str(chunk))
        assert len(fake.trained) == chunks  # none of them twice
        assert contents(tmp_path / str(chunk)) == contents(tmp_path / "untouched")


def test_what_is_left_is_trained_as_it_was_planned(fake, small, tmp_path, monkeypatch):
    config = small(seeds=4)
    compare(config, tmp_path)
    cut = (tmp_path / "results.jsonl").read_text().splitlines(keepends=True)[:8]
    (tmp_path / "results.jsonl").write_text("".join(cut))
    # Memory for three runs at once, by now.
    monkeypatch.setattr(FakePopulation, "chunks", lambda self, members: [3, 1])
    fake.trained.clear()
    compare(config, tmp_path)
    assert [(len(each["members"]), each["padded_size"]) for each in fake.trained] == [(2, 2), (2, 2)]


def test_a_finished_study_is_left_as_it_is_and_nothing_is_compiled(fake, small, tmp_path, capsys):
    compare(small(), tmp_path)
    before = contents(tmp_path)
    fake.trained.clear()
    capsys.readouterr()
    compiled = []
    jax.monitoring.register_event_duration_secs_listener(lambda event, seconds, **_: compiled.append(event))
    try:
        assert compare(small(), tmp_path) == {"runs": 6, "diverged": 0}
    finally:
        jax.monitoring.clear_event_listeners()
    assert fake.trained == []
    assert [event for event in compiled if "backend_compile" in event] == []
    assert contents(tmp_path) == before
    assert capsys.readouterr().out == ""


def test_chunks_are_of_as_many_runs_as_are_asked_for(fake, small, tmp_path):
    compare(small(seeds=5, members_at_once=4), tmp_path)
    assert [len(each["members"]) for each in fake.trained] == [4, 1, 4, 1]


def test_a_workdir_of_something_else_is_refused(fake, small, toy_data, tmp_path):
    compare(small(), tmp_path / "study")
    before = contents(tmp_path / "study")
    with pytest.raises(
        WorkdirError, match=r"holds a study of another config \(config\.study\.epochs: \(2,\), not \(3,\)\)"
    ):
        compare(small(epochs=(3,)), tmp_path / "study")
    with pytest.raises(
        WorkdirError,
        match=r"study/config\.json is not for this script: it is the config of a study; run it with scripts",
    ):
        train(toy.toy_config(toy_data), tmp_path / "study")
    assert contents(tmp_path / "study") == before
    train(toy.toy_config(toy_data, train__epochs=1), tmp_path / "run")
    with pytest.raises(
        WorkdirError, match=r"not for this script: it is the config of a run; run it with scripts/train"
    ):
        compare(small(), tmp_path / "run")


def runs(workdir: Path) -> list[tuple[Any, ...]]:
    """What was trained, in order."""
    return [(line["arm"], line["phase"], line["trial"], line["seed"]) for line in lines(workdir, epoch=1)]


@pytest.mark.parametrize("finished", [True, False])
def test_arms_and_seeds_are_added_to_a_study_and_nothing_is_trained_twice(finished, fake, small, tmp_path, monkeypatch):
    tuned = {"mode": "tuned", "trials": 2, "score_test": True}
    if not finished:
        monkeypatch.setattr(FakePopulation, "before_chunk", staticmethod(interrupt_at(2)))
        with pytest.raises(Interrupted):
            compare(small(**tuned), tmp_path / "parts")
        monkeypatch.setattr(FakePopulation, "before_chunk", staticmethod(lambda number: None))
    else:
        compare(small(**tuned), tmp_path / "parts")
    before, trained = (tmp_path / "parts" / "results.jsonl").read_text(), len(runs(tmp_path / "parts"))
    more = small(optimizers=("rmsprop", "sgd", "adam"), seeds=5, **tuned)
    assert compare(more, tmp_path / "parts")["runs"] == 3 * (2 + 5)
    compare(more, tmp_path / "whole")
    assert (tmp_path / "parts" / "results.jsonl").read_text().startswith(before)
    assert sorted(runs(tmp_path / "parts")) == sorted(runs(tmp_path / "whole"))
    scores = [
        {(line["arm"], line["phase"], line["seed"]): line["val_accuracy"] for line in lines(tmp_path / name)}
        for name in ("parts", "whole")
    ]
    assert scores[0] == scores[1]
    plan = json.loads((tmp_path / "parts" / "plan.json").read_text())
    assert plan["additions"] == [{"chunk": 6, "trained": trained, "arms": ["sgd"], "seeds": [3, 4]}]
    (start,) = json.loads((tmp_path / "parts" / "manifest.json").read_text())["restarts"]
    assert (start["optimizers"], start["seeds"]) == (["rmsprop", "sgd", "adam"], 5)
    assert json.loads((tmp_path / "parts" / "config.json").read_text())["study"]["seeds"] == 5


def test_killed_before_what_is_added_is_planned_a_study_goes_on(fake, small, tmp_path, monkeypatch):
    compare(small(), tmp_path)

    class Kill(Exception):
        pass

    def kill(*_: object) -> None:
        raise Kill

    with monkeypatch.context() as patched:
        patched.setattr(runner, "write_plan", kill)
        with pytest.raises(Kill):
            compare(small(seeds=4), tmp_path)
    assert compare(small(seeds=4), tmp_path)["runs"] == 8


@pytest.mark.parametrize("study", [{"seeds": 2}, {"optimizers": ("rmsprop", "sgd")}, {"seeds": 4, "epochs": (2, 3)}])
def test_nothing_else_can_be_changed_and_nothing_taken_away(study, fake, small, tmp_path):
    compare(small(), tmp_path)
    before = contents(tmp_path)
    with pytest.raises(WorkdirError, match=r"holds a study of another config .* to which arms and seeds can be added"):
        compare(small(**study), tmp_path)
    assert contents(tmp_path) == before


def test_other_data_than_before_are_refused(fake, small, tmp_path):
    toy.write_csv(tmp_path / "data")
    config = small()
    config.data.dir = str(tmp_path / "data")
    compare(config, tmp_path / "study")
    toy.write_csv(tmp_path / "data", seed=5)
    with pytest.raises(DataError, match="of other content"):
        compare(config, tmp_path / "study")


def test_results_without_their_plan_are_refused(fake, small, tmp_path):
    compare(small(), tmp_path)
    (tmp_path / "plan.json").unlink()
    with pytest.raises(WorkdirError, match=r"plan\.json is missing beside the results; restore it"):
        compare(small(), tmp_path)


@pytest.mark.parametrize(
    ("study", "problem"),
    [
        (
            {"models": ("toy", "modle1")},
            r"config\.study\.models must be one of .*, not 'modle1'; did you mean 'model1'",
        ),
        ({"schedules": ("cosin",)}, r"config\.study\.schedules must be one of .*, not 'cosin'; did you mean 'cosine'"),
        ({"optimizers": ("adam:b3=1",)}, r"config\.study\.optimizers: arm 'adam:b3=1' sets 'b3', but adam does not"),
        (
            {"mode": "tuned", "batch_sizes": (8, 64)},
            r"config\.study\.batch_sizes holds 64: config\.train\.batch_size must be at most 39",
        ),
        (
            {"mode": "tuned", "warmups": ("5%", "5 miles")},
            r"config\.study\.warmups holds '5 miles': config\.schedule\.warmup: a duration must be like",
        ),
        ({"mode": "tuned", "trials": 0}, r"config\.study\.trials must be at least 1, not 0"),
    ],
)
def test_a_study_that_cannot_be_leaves_nothing(study, problem, fake, small, tmp_path):
    with pytest.raises(ConfigError, match=problem):
        compare(small(**study), tmp_path / "study")
    assert not (tmp_path / "study").exists()


def test_what_is_printed(fake, small, tmp_path, capsys):
    compare(small(mode="tuned", optimizers=("rmsprop",), trials=2, seeds=3), tmp_path)
    planning, first, estimate, tune, won, two, three = capsys.readouterr().out.splitlines()
    assert planning == "planning: compiling, to see how many runs fit into memory at once"
    assert first == (
        "rmsprop on toy, 2 epochs, constant: 2 trials and 3 final runs, 10 epochs, 390 images; csv, cpu; "
        f"workdir {tmp_path}"
    )
    assert re.fullmatch(r"by its first epoch, the study takes about \d:\d\d:\d\d", estimate)
    assert re.fullmatch(
        r"2/5 runs  rmsprop, trials 0 to 1  best val accuracy [\d.]+%  [\d.]+ s  ETA \d:\d\d:\d\d", tune
    )
    assert re.fullmatch(r"rmsprop: trial [01] wins: learning_rate=\S+, decay=\S+, eps=\S+", won)
    assert re.fullmatch(r"4/5 runs  rmsprop, seeds 0 to 1  mean val accuracy [\d.]+%  [\d.]+ s  ETA .*", two)
    assert re.fullmatch(r"5/5 runs  rmsprop, seed 2  mean val accuracy [\d.]+%  [\d.]+ s  ETA 0:00:00", three)


@pytest.mark.parametrize(("arms", "seeds", "least"), [(2, 5, 6), (2, 6, None), (3, 6, 7), (3, 7, None), (1, 1, None)])
def test_too_few_seeds_to_show_a_difference_are_told_of_beforehand(arms, seeds, least, fake, small, tmp_path, capsys):
    compare(small(optimizers=("adam", "sgd", "rmsprop")[:arms], seeds=seeds), tmp_path)
    note = f"note: config.study.seeds={seeds} cannot show a difference between two of {arms} arms, however large: that"
    printed = capsys.readouterr().out
    assert (f"{note} takes {least} or more\n" in printed) == (least is not None)
    assert ("note: " in printed) == (least is not None)


def interrupt_at(number: int, signal_number: int = signal.SIGINT) -> Callable[[int], None]:
    def interrupt(chunk: int) -> None:
        if chunk == number:
            signal.raise_signal(signal_number)

    return interrupt


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_a_study_and_keeps_its_finished_chunks(number, fake, small, tmp_path, monkeypatch):
    monkeypatch.setattr(FakePopulation, "before_chunk", staticmethod(interrupt_at(2, number)))
    with pytest.raises(Interrupted, match=r"^stopped after 3 of 6 runs$") as caught:
        compare(small(), tmp_path)
    assert caught.value.exit_code == 128 + number
    assert {line["chunk"] for line in lines(tmp_path)} == {0, 1}


def test_a_signal_while_the_last_runs_are_recorded_is_not_lost(fake, small, tmp_path, monkeypatch):
    add = runner.Results.add

    def interrupted(results, chunk, found):
        add(results, chunk, found)
        if len(results.runs) == 6:
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(runner.Results, "add", interrupted)
    with pytest.raises(Interrupted, match=r"^stopped after 6 of 6 runs$"):
        compare(small(), tmp_path)


def test_each_optimizer_starts_from_the_same_weights(toy_data):
    params = []
    for optimizer in ("sgd", "adam", "muon"):
        for epochs, schedule in ((2, "constant"), (5, "cosine")):
            config = toy.toy_config(
                toy_data, optimizer__name=optimizer, train__epochs=epochs, schedule__name=schedule, seed=4
            )
            params.append(make_run(config, toy.TRAIN).init(member_of(config)).params)
    for other in params[1:]:
        jax.tree.map(np.testing.assert_array_equal, params[0], other)


def test_a_study_trains(small, tmp_path):
    config = small(mode="tuned", optimizers=("adam",), trials=2, halving=2, seeds=2, epochs=(3,), score_test=True)
    assert compare(config, tmp_path) == {"runs": 5, "diverged": 0}
    assert [line["epoch"] for line in lines(tmp_path)] == [1, 1, *[1, 2, 3] * 3]
    assert all(line["train_seconds"] > 0 for line in lines(tmp_path))
    for member in range(2, 5):
        losses = [line["train_loss"] for line in lines(tmp_path, member=member)]
        assert losses[-1] != losses[0]


def test_the_fake_has_the_signature_of_the_real_one():
    import inspect

    from fmnist_jax.train.population import Population

    for name in ("__init__", "chunks", "train"):
        real = inspect.signature(getattr(Population, name)).parameters
        assert set(inspect.signature(getattr(fake_population.FakePopulation, name)).parameters) <= set(real)
