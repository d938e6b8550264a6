import dataclasses
import json

import fake_contenders
import pytest
from run_script import run_script

from fmnist_jax import models
from fmnist_jax.benchmark import figures, roofline, suite
from fmnist_jax.benchmark.architecture import PROBLEMS
from fmnist_jax.benchmark.measure import Effort, Entrant, in_turn
from fmnist_jax.benchmark.protocol import Request
from fmnist_jax.benchmark.settings import Settings
from fmnist_jax.errors import ConfigError
from fmnist_jax.models import overview

_QUICK = Effort(repeats=2, seconds=0.01)


@pytest.fixture
def contender_file(tmp_path, monkeypatch):
    return fake_contenders.writer(tmp_path, monkeypatch)


def _entrant(name):
    return Entrant(name, Request(name, "", "model1", 32), ("train", "evaluate"))


def _settings(**changes):
    settings = {"models": ["model1"], "contenders": ["ours"], "effort": _QUICK, "pythons": {}}
    return Settings(**(settings | changes))


@pytest.mark.parametrize("name", PROBLEMS)
def test_architectures_have_as_many_parameters_as_our_models(name):
    from flax import nnx

    model = nnx.eval_shape(lambda: models.create(PROBLEMS[name].model, nnx.Rngs(0)))
    assert PROBLEMS[name].architecture.parameters() == overview.count(nnx.state(model, nnx.Param))


def test_arithmetic_counted_by_hand():
    # Outputs x window x channels in x channels out, each a multiplication and an addition.
    conv1, conv2, conv3 = 26 * 26 * 9 * 1 * 32, 10 * 10 * 9 * 32 * 64, 3 * 3 * 9 * 64 * 128
    forward = 2 * (conv1 + conv2 + conv3 + 1152 * 256 + 256 * 10)
    model3 = PROBLEMS["model3"].architecture
    assert roofline.evaluation_flops(model3) == forward == 5_997_824
    assert roofline.training_flops(model3) == 3 * forward - 2 * conv1
    assert 256 * roofline.training_flops(model3) == 4_506_648_576


def test_padding_is_not_counted_as_arithmetic():
    # Of 28 rows, the outer two on each side have one or two of the five taps in the padding.
    conv1, conv2 = 2 * (28 * 5 - 6) ** 2 * 32, 2 * (14 * 5 - 6) ** 2 * 32 * 64
    dense = 2 * (7 * 7 * 64 * 1024 + 1024 * 10)
    assert roofline.evaluation_flops(PROBLEMS["2c2d"].architecture) == conv1 + conv2 + dense


def test_the_width_is_that_of_every_convolution():
    wider = PROBLEMS["model3"].architecture.widened(64)
    assert [conv.features for conv in wider.convs] == [64, 128, 256]
    conv1, conv2, conv3 = 26 * 26 * 9 * 1 * 64, 10 * 10 * 9 * 64 * 128, 3 * 3 * 9 * 128 * 256
    assert roofline.evaluation_flops(wider) == 2 * (conv1 + conv2 + conv3 + 2304 * 256 + 256 * 10)


def test_least_traffic_of_a_step_by_hand():
    outputs = 13 * 13 * 32 + 5 * 5 * 64 + 10
    traffic = 784 + 4 * (2 * outputs) + 4 * 2 * 2 * 34_826 / 256
    assert roofline.training_bytes(PROBLEMS["model1"]) == pytest.approx(traffic)


def test_the_ceiling_is_the_lower_of_the_two_roofs():
    assert roofline.ceiling(flops=10, traffic=1, flop_rate=100, bandwidth=100) == 10
    assert roofline.ceiling(flops=10, traffic=1, flop_rate=100, bandwidth=5) == 5


def test_ratios_are_of_the_same_turn():
    # In the second turn the machine was half as fast, for both of them.
    assert figures.ratios([200.0, 100.0, 210.0], [100.0, 50.0, 100.0]) == (2.0, 2.0, 2.1)
    assert figures.ratios([1.0], []) is None


def test_the_fastest_peer_is_neither_ours_nor_stock_flax():
    def record(seconds):
        tasks = {task: {"work": 100, "units": 1, "seconds": seconds} for task in ("train", "evaluate")}
        return {"status": "measured", "tasks": tasks}

    speeds = {"ours": [1.0, 1.0], "flax-loop": [0.5, 0.5], "keras": [3.0, 3.0], "torch": [2.0, 4.0, 2.0][:2]}
    machine = {"status": "measured", "tasks": {}}
    found = {"machine": machine, "contenders": {name: record(seconds) for name, seconds in speeds.items()}}
    found["contenders"]["keras-jit"] = {"status": "failed", "reason": "broke", "tasks": {}}
    summary = figures.summarise(PROBLEMS["model1"], found)["train"]
    assert summary["fastest_peer"] == "torch"
    assert summary["ours_times_as_fast_as"]["torch"] == {"median": 3.0, "low": 2.0, "high": 4.0}
    assert summary["examples_per_second"]["keras"]["median"] == pytest.approx(100 / 3)
    assert summary["roofline"] is None


def test_who_is_missing_or_breaks_is_told_and_the_others_are_measured(contender_file, tmp_path):
    contender_file("sound", "print('noise on standard output')")
    contender_file("missing", "import no_such_framework")
    contender_file("breaking", "raise RuntimeError('two\\nlines')")
    contender_file("dying", "os.write(2, b'fatal: no luck\\n'); os._exit(9)")
    names = ["sound", "missing", "breaking", "dying"]
    said = []
    found = in_turn([_entrant(name) for name in names], _QUICK, tmp_path / "work", said.append)
    assert [found[name]["status"] for name in names] == ["measured", "unavailable", "failed", "failed"]
    assert found["missing"]["reason"] == "no_such_framework is not installed"
    assert found["breaking"]["reason"] == "RuntimeError: two lines"
    assert found["dying"]["reason"] == "fatal: no luck (exit code 9)"
    assert len(found["sound"]["tasks"]["evaluate"]["seconds"]) == _QUICK.repeats
    assert found["sound"]["memory"]["host"] > 2**20
    assert said


def test_a_contender_that_breaks_while_measured_is_dropped(contender_file, tmp_path):
    contender_file("sound", "pass")
    contender_file(
        "late",
        """
        def break_down(n):
            count = iter(range(3))
            return lambda: next(count) < 2 or os._exit(3)
        return Contender({"train": Task(break_down, 1, 1), "evaluate": Task(break_down, 1, 1)}, 7, "a test", {})
        """,
    )
    found = in_turn([_entrant("late"), _entrant("sound")], _QUICK, tmp_path / "work", lambda text: None)
    assert found["late"]["status"] == "failed"
    assert found["late"]["reason"] == "no message (exit code 3)"
    assert found["sound"]["status"] == "measured"


def test_measurements_take_turns(contender_file, tmp_path):
    log = tmp_path / "turns"
    for name in ("first", "second"):
        body = f"""
        def prepare(n):
            def go():
                with open({str(log)!r}, "a") as file:
                    file.write("{name} ")
            return go
        return Contender({{"train": Task(prepare, 1, 2)}}, 7, "a test", {{}})
        """
        contender_file(name, body)
    entrants = [Entrant(name, Request(name, "", "model1", 32), ("train",)) for name in ("first", "second")]
    in_turn(entrants, Effort(3, 0.0), tmp_path / "work", lambda text: None)
    assert log.read_text().split()[-6:] == ["first", "second"] * 3


def test_the_whole_flow_with_ours_flax_and_one_that_is_missing(contender_file, tmp_path, monkeypatch):
    contender_file("absent", "import no_such_framework")
    monkeypatch.setenv("XLA_FLAGS", "--xla_backend_optimization_level=0")
    monkeypatch.setitem(suite.PROBLEMS, "model1", dataclasses.replace(PROBLEMS["model1"], batch_size=8))
    settings = _settings(contenders=["ours", "flax-scan", "absent"])
    text = suite.run(tmp_path / "results", settings, lambda text: None)
    record = json.loads((tmp_path / "results" / "benchmark.json").read_text())
    model = record["models"]["model1"]
    assert model["contenders"]["ours"]["parameters"] == model["contenders"]["flax-scan"]["parameters"] == 34_826
    assert len(model["contenders"]["ours"]["first_step_seconds"]) == 2
    assert model["summary"]["train"]["ours_times_as_fast_as"]["flax-scan"]["median"] > 0
    assert 0 < model["summary"]["train"]["roofline"]["reached"]["median"] < 1
    assert "- absent (a test) unavailable: no_such_framework is not installed." in text
    assert (tmp_path / "results" / "benchmark.md").read_text() == text
    assert (tmp_path / "results" / "benchmark.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"models": ["model9"]}, "--models must be one of"),
        ({"contenders": ["torhc"]}, "did you mean 'torch'"),
        ({"contenders": []}, "--contenders must name"),
        ({"growth": ["batch", "chanels"]}, "--axes must be one of batch, cores, .* did you mean 'channels'"),
        ({"numerics": ["lowering"]}, "--numerics must be one of precision, .* did you mean 'lowerings'"),
        ({"members": ["1", "many"]}, "--members must be numbers of members, as in 1,8,64, not 'many'"),
        ({"members": ["0"]}, "not '0'"),
        ({"pythons": {"keras": "/nowhere/python"}}, "--keras_python=/nowhere/python is no interpreter"),
    ],
)
def test_settings_that_do_not_hold(changes, words, tmp_path):
    with pytest.raises(ConfigError, match=words):
        suite.run(tmp_path / "results", _settings(**changes), lambda text: None)
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    "flags",
    [
        ["--models=model9"],
        ["--repeats=0"],
        ["--seconds=soon"],
        ["--contenders=x"],
        ["--members=1,many"],
        ["--axes=width"],
        ["--numerics=float64"],
        ["--nonsense"],
        ["word"],
    ],
)
def test_bad_flags_end_with_one_line(flags, tmp_path):
    ended = run_script("benchmark", f"--workdir={tmp_path / 'results'}", *flags)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("error: ")
    assert ended.err.count("\n") == 1
    assert not (tmp_path / "results").exists()


def test_the_workdir_must_be_given():
    assert run_script("benchmark").code == 2
