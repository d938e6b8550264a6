from __future__ import annotations

import dataclasses
import json
import math
import subprocess
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
import toy
from flax import nnx
from run_script import run_script

from fmnist_jax import data, models
from fmnist_jax.config.python_file import read_config_file
from fmnist_jax.config.schema import default_config
from fmnist_jax.errors import ConfigError, WorkdirError
from fmnist_jax.records import commands, pilot, record
from fmnist_jax.records.declaration import SCHEMA, declared, registered, seeds_of
from fmnist_jax.records.ledger import Ledger, read_ledger
from fmnist_jax.records.page import write_page, write_table
from fmnist_jax.records.pilot import run_pilot, without_test
from fmnist_jax.records.record import run_record
from fmnist_jax.records.registration import commit_of
from fmnist_jax.records.timed import Outcome, TimedRun
from fmnist_jax.train.run import make_run, member_of

CONFIGS = Path(__file__).parent.parent / "configs" / "records"
COMMIT = "0123456789abcdef"
FILE = """
from fmnist_jax import default_config

RECORD = {declaration}


def get_config():
    config = default_config()
    {change}
    return config
"""


def config_file(folder: Path, declaration: str = '{"target": 0.3, "first_seed": 7}', change: str = "") -> Path:
    path = folder / "tiny.py"
    path.write_text(FILE.replace("{declaration}", declaration).replace("{change}", change))
    return path


@pytest.fixture
def tiny(tmp_path: Path, toy_data: Path) -> Path:
    """A config file that declares a record of a toy network."""
    lines = ["import sys", f"sys.path.append({str(Path(__file__).parent)!r})", "import toy"]
    lines += ["config.data.name, config.model.name = 'csv', 'linear'", f"config.data.dir = {str(toy_data)!r}"]
    lines += ["config.train.update(epochs=2, batch_size=16, eval_batch_size=10)"]
    return config_file(tmp_path, change="; ".join(lines))


def run(file: Path, results: Path) -> dict:
    config = registered(read_config_file(file), file)
    return run_record(config, file, results / "tiny", results / "ledger.jsonl", COMMIT)


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.py")), ids=lambda path: path.stem)
def test_the_configs_declare_records(path):
    config = registered(read_config_file(path), path)
    member_of(config)
    make_run(config, 60_000)
    assert f"python scripts/record.py --config=configs/records/{path.name}" in path.read_text()


def test_what_is_not_declared_is_the_default(tmp_path):
    file = config_file(tmp_path, '{"target": 0.9}')
    config = registered(read_config_file(file), file)
    assert (seeds_of(config), config.seed, config.data.val_examples) == (range(1000, 1020), 1000, 0)


@pytest.mark.parametrize(
    ("declaration", "message"),
    [
        ('{"target": 1.2}', r"config\.record\.target must be below 1, not 1\.2"),
        ('{"target": "high"}', r"config\.record\.target must be a number"),
        ('{"target": 0.9, "n": 5}', r"config\.record\.n must be at least 10"),
        ('{"targt": 0.9}', r"config\.record\.targt is not a config key; did you mean 'record\.target'"),
        ("0.9", r"RECORD must be a dict"),
    ],
)
def test_a_wrong_declaration_is_refused(tmp_path, declaration, message):
    file = config_file(tmp_path, declaration)
    with pytest.raises(ConfigError, match=rf"tiny\.py: .*{message}|tiny\.py: {message}"):
        declared(read_config_file(file), file)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("config.init_from = 'runs/other'", r"config\.init_from must be ''"),
        ("config.train.patience = 2", r"config\.train\.patience must be 0, not 2"),
    ],
)
def test_what_the_rules_forbid_is_refused(tmp_path, change, message):
    file = config_file(tmp_path, change=change)
    with pytest.raises(ConfigError, match=message):
        registered(read_config_file(file), file)


def test_an_override_or_no_target_is_refused(tmp_path):
    file = config_file(tmp_path)
    config = read_config_file(file)
    config.data.dir = "elsewhere"  # where the data lie is no choice
    registered(config, file)
    config.train.epochs = 3
    with pytest.raises(ConfigError, match=r"config\.train\.epochs: 3, not 10"):
        registered(config, file)
    with pytest.raises(ConfigError, match="declares no RECORD"):
        registered(default_config(), config_file(tmp_path, "None"))


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    return subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A git checkout with a committed config file, a package and a folder of results."""
    root = tmp_path / "checkout"
    (root / "fmnist_jax").mkdir(parents=True)
    (root / "results").mkdir()
    (root / "fmnist_jax" / "code.py").write_text("1\n")
    config_file(root)
    git(root.parent, "init", "-q", "checkout")
    git(root, "add", ".")
    git(root, "commit", "-qm", "A record")
    return root


def test_a_committed_config_is_registered_whatever_the_results(checkout):
    file, results = checkout / "tiny.py", checkout / "results"
    head = git(checkout, "rev-parse", "HEAD").strip()
    assert commit_of(checkout, file, results) == head
    (results / "ledger.jsonl").write_text("{}\n")
    assert commit_of(checkout, file, results) == head
    git(checkout, "add", ".")
    git(checkout, "commit", "-qm", "Results")
    assert commit_of(checkout, file, results, since=head) == head


def test_what_is_not_committed_is_not_registered(checkout):
    file, results, code = checkout / "tiny.py", checkout / "results", checkout / "fmnist_jax" / "code.py"
    (checkout / "other.py").write_text(file.read_text())
    with pytest.raises(ConfigError, match=r"other\.py is not committed in"):
        commit_of(checkout, checkout / "other.py", results)
    with pytest.raises(ConfigError, match=r"^other\.py: not committed"):
        commit_of(checkout, file, results)
    (checkout / "other.py").unlink()
    code.write_text("2\n")
    with pytest.raises(ConfigError, match=r"^fmnist_jax/code\.py: not committed"):
        commit_of(checkout, file, results)


def test_a_record_does_not_go_on_with_other_code(checkout):
    head = git(checkout, "rev-parse", "HEAD").strip()
    (checkout / "fmnist_jax" / "code.py").write_text("2\n")
    git(checkout, "commit", "-qam", "Other code")
    with pytest.raises(ConfigError, match=rf"fmnist_jax/code\.py: changed since commit {head[:10]}"):
        commit_of(checkout, checkout / "tiny.py", checkout / "results", since=head)


def test_a_config_outside_of_the_checkout_is_refused(tmp_path):
    ended = run_script("record", f"--config={config_file(tmp_path)}")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.count("\n") == 1
    assert "tiny.py is not committed in" in ended.err


def test_a_timed_run_is_the_run_of_that_seed(toy_data):
    config = toy.toy_config(toy_data)
    dataset = data.load(config.data)
    timed = TimedRun(config, dataset, "test")
    assert timed.compile() > 0
    timed.warm_up()
    called: list[float] = []
    outcome = timed(3, called.append)
    run, member = timed.run.programs, timed.run.put(member_of(toy.toy_config(toy_data, seed=3)))
    train, test = timed.run.put_split(dataset.train), timed.run.put_split(dataset.test)
    state = run.init()(member)
    for _ in range(2):
        state, _ = run.epoch(train)(state, member, train)
    assert outcome.accuracy == run.evaluate(test)(state, test).means()["accuracy"]
    assert not outcome.diverged
    (seconds,) = called
    assert 0 < seconds < outcome.train_seconds
    assert outcome.cpu_seconds > 0


def test_a_record_is_finished_by_every_seed(tiny, tmp_path, monkeypatch):
    found = run(tiny, tmp_path)
    assert found["seeds"] == list(range(7, 27))
    assert (found["n"], found["commit"], found["data"], found["epochs"]) == (20, COMMIT, "csv", 2)
    assert found == json.loads((tmp_path / "tiny" / "record.json").read_text())
    assert {len(found[key]) for key in ("accuracies", "train_seconds", "cpu_seconds")} == {20}
    assert found["mean"] == pytest.approx(np.mean(found["accuracies"]))
    assert found["valid"] == (found["p"] < 0.01)
    assert (found["lower_bound_99"] > 0.3) == found["valid"]
    manifest = json.loads((tmp_path / "tiny" / "manifest.json").read_text())
    assert (manifest["git_sha"], manifest["data"]["examples"]["train"]) == (COMMIT, toy.TRAIN)
    events = [(entry.event, entry.seed) for entry in read_ledger(tmp_path / "ledger.jsonl")]
    assert events == [(event, seed) for seed in found["seeds"] for event in ("intent", "score")]

    monkeypatch.setattr(TimedRun, "__call__", lambda *_: pytest.fail("a finished seed was run again"))
    assert run(tiny, tmp_path) == found


def test_a_stopped_record_goes_on_and_says_so(tiny, tmp_path, monkeypatch):
    class Stopped(Exception):
        pass

    scored = Ledger.add

    def add(ledger: Ledger, seed: int, outcome: Outcome) -> None:
        if seed == 9:
            raise Stopped
        scored(ledger, seed, outcome)

    with monkeypatch.context() as patched:
        patched.setattr(Ledger, "add", add)
        with pytest.raises(Stopped):
            run(tiny, tmp_path)
    with (tmp_path / "ledger.jsonl").open("a") as ledger:
        ledger.write('{"event": "sco')  # as a killed process leaves it
    found = run(tiny, tmp_path)
    events = [(entry.event, entry.seed) for entry in read_ledger(tmp_path / "ledger.jsonl")]
    assert events[4:7] == [("intent", 9), ("intent", 9), ("score", 9)]
    assert len(events) == 41
    assert found["seeds"] == list(range(7, 27))


def test_scored_seeds_are_not_fresh_for_another_commit(tmp_path):
    path = tmp_path / "ledger.jsonl"
    Ledger(path, "tiny", "a", range(3)).intend(2)
    Ledger(path, "other", "b", range(3))
    Ledger(path, "tiny", "b", range(3, 6))
    with pytest.raises(ConfigError, match=r"tiny scored seed 2 at another commit; .* first_seed = 3"):
        Ledger(path, "tiny", "b", range(3))


def test_few_runs_are_for_long_ones(tiny, tmp_path, monkeypatch):
    tiny.write_text(tiny.read_text().replace('"first_seed": 7', '"first_seed": 7, "n": 10'))
    with pytest.raises(ConfigError, match=r"less than 20 runs is for those that take over 240 s: declare n = 20"):
        run(tiny, tmp_path)
    assert not read_ledger(tmp_path / "ledger.jsonl")
    monkeypatch.setattr(record, "LONG_SECONDS", 0)
    assert len(run(tiny, tmp_path)["seeds"]) == 10


def test_a_slow_compilation_ends_before_the_test_set_is_scored(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(record, "MAX_COMPILE_SECONDS", 0)
    with pytest.raises(ConfigError, match="a record may take 0 s"):
        run(tiny, tmp_path)
    assert not read_ledger(tmp_path / "ledger.jsonl")


def test_the_command_registers_runs_and_shows_a_record(checkout, tiny, monkeypatch, capsys):
    results, file = checkout / "results", checkout / "tiny.py"
    monkeypatch.setattr(commands, "_ROOT", checkout)
    monkeypatch.setattr(commands, "_RESULTS", results)
    monkeypatch.setattr(commands.compiler, "disable_cache", lambda: None)  # tests after this one need it
    file.write_text(tiny.read_text())
    with pytest.raises(ConfigError, match=r"tiny\.py: not committed"):
        commands.record(read_config_file(file), file, None)
    assert not list(results.iterdir())
    git(checkout, "commit", "-qam", "A record to come")
    commands.record(read_config_file(file), file, None)
    shown, entries = capsys.readouterr().out.splitlines()[-1], read_ledger(results / "ledger.jsonl")
    assert {entry.commit for entry in entries} == {git(checkout, "rev-parse", "HEAD").strip()}
    (results / "tiny" / "report.html").unlink()
    (checkout / "fmnist_jax" / "code.py").write_text("2\n")  # a finished record is only shown: nothing is run
    commands.record(read_config_file(file), file, None)
    assert capsys.readouterr().out.splitlines() == [shown]
    assert (results / "tiny" / "report.html").is_file()
    file.write_text(file.read_text().replace("0.3", "0.4"))
    with pytest.raises(WorkdirError, match=r"another config \(config\.record\.target: 0\.3, not 0\.4\)"):
        commands.record(read_config_file(file), file, None)
    assert read_ledger(results / "ledger.jsonl") == entries


@models.register("diverging", "a bias of NaN")
class Diverging(nnx.Module):
    def __init__(self, *, rngs: nnx.Rngs):
        self.bias = nnx.Param(jnp.full(10, jnp.nan))

    def __call__(self, x):
        return jnp.broadcast_to(self.bias[...], (x.shape[0], 10))


def test_a_diverged_run_counts_as_guessing(toy_data):
    config = toy.toy_config(toy_data, model__name="diverging")
    outcome = TimedRun(config, data.load(config.data), "test")(0)
    assert (outcome.diverged, outcome.accuracy) == (True, 0.1)


def test_the_page_and_the_table_say_what_came_out(tiny, tmp_path):
    found = run(tiny, tmp_path)
    turns = {"seconds": {name: {"median": 2, "low": 1, "high": 3} for name in ("tiny", "big")}}
    (tmp_path / "tiny" / "turns_big.json").write_text(json.dumps(turns | {"ratio": turns["seconds"]["big"]}))
    page = write_page(tmp_path / "tiny").read_text()
    assert "big takes 2.00 times as long (1.00 to 3.00)" in page
    assert f"{100 * found['mean']:.2f}" in page
    assert (tmp_path / "tiny" / "plots" / "runs.png").is_file()
    readme = tmp_path / "README.md"
    write_table(tmp_path)
    assert not readme.exists()
    readme.write_text("Rules\n\n<!-- table of records -->\nNone yet.\n<!-- end of the table -->\nEnd\n")
    for _ in range(2):
        write_table(tmp_path)
        text = readme.read_text()
        assert text.startswith("Rules\n\n<!-- table of records -->\n| Target |")
        assert text.endswith("|\n<!-- end of the table -->\nEnd\n")
        assert text.count(f"| 30 % of csv{'' if found['valid'] else ', missed'} |") == 1
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "record.json").write_text("[]")
    with pytest.raises(WorkdirError, match="broken"):
        write_table(tmp_path)


def test_a_pilot_has_no_test_image_and_sees_none(tiny, tmp_path, monkeypatch):
    dataset = data.load(read_config_file(tiny).data)
    held_out = without_test(dataset)
    assert [len(held_out.train), len(held_out.val), len(held_out.test)] == [toy.TRAIN - 4, 4, 0]

    def accuracies(name: str, test: data.Split) -> dict:
        changed = dataclasses.replace(dataset, test=test, val=test)
        monkeypatch.setattr(pilot.data, "load", lambda config: changed)
        config = declared(read_config_file(tiny), tiny)
        return {seed: run.accuracy for seed, run in run_pilot(config, tiny, tmp_path / name, 3).runs.items()}

    noise = data.Split(255 - dataset.test.images, dataset.test.labels[::-1])
    assert accuracies("a", dataset.test) == accuracies("b", noise)


def test_a_pilot_keeps_its_runs_and_adds_seeds(tiny, tmp_path):
    config = read_config_file(tiny)
    first = run_pilot(declared(config, tiny), tiny, tmp_path / "pilot", 1)
    assert math.isnan(first.low)
    assert math.isnan(first.standard_deviation)
    more = run_pilot(declared(config, tiny), tiny, tmp_path / "pilot", 3)
    assert more.runs["0"] == first.runs["0"]
    assert more.low <= more.mean_accuracy <= more.high
    assert json.loads((tmp_path / "pilot" / "pilot.json").read_text())["runs"].keys() == {"0", "1", "2"}
    config.train.epochs = 3
    with pytest.raises(WorkdirError, match=r"config\.train\.epochs: 2, not 3"):
        run_pilot(declared(config, tiny), tiny, tmp_path / "pilot", 3)


def test_a_pilot_needs_no_commit_but_a_folder(tiny, tmp_path):
    with pytest.raises(ConfigError, match="--workdir must be given"):
        commands.pilot(read_config_file(tiny), tiny, None, 2)
    arguments = [f"--config={tiny}", "--pilot", "--seeds=2", f"--workdir={tmp_path}", "--config.train.epochs=1"]
    ended = run_script("record", *arguments)
    assert (ended.code, ended.err) == (0, "")
    assert "mean validation accuracy" in ended.out.splitlines()[-1]


def test_turns_time_both_without_the_test_set(tiny, toy_data, tmp_path, monkeypatch, capsys):
    scored: list[data.Split] = []
    made = TimedRun.__init__

    def watched(self: TimedRun, config, dataset, split: str) -> None:
        scored.append(getattr(dataset, split))
        made(self, config, dataset, split)

    monkeypatch.setattr(TimedRun, "__init__", watched)
    config, other = read_config_file(tiny), tiny.with_name("other.py")
    config.data.val_examples = 5
    other.write_text(tiny.read_text().replace("epochs=2", "epochs=1"))
    commands.turns(config, tiny, other, tmp_path, 3)
    found = json.loads((tmp_path / "turns_other.json").read_text())
    dataset = data.load(toy.toy_config(toy_data).data)
    assert all(np.array_equal(each.images, dataset.train.images[: toy.TEST]) for each in scored)
    assert [len(each["turns"]) for each in found["seconds"].values()] == [3, 3]
    assert found["ratio"]["low"] <= found["ratio"]["median"] <= found["ratio"]["high"]
    assert capsys.readouterr().out.splitlines()[-1].startswith("other takes ")
    with pytest.raises(ConfigError, match="--against must name another record"):
        commands.turns(config, tiny, tiny, tmp_path, 3)


def test_the_schema_of_a_record_is_that_of_a_run_and_more():
    assert SCHEMA.keys() > {"record.target", "record.n", "record.first_seed", "train.epochs"}
