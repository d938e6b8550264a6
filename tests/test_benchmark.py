import dataclasses
import json
import math
import statistics

import fake_candidates
import pytest
from run_script import run_script

from fmnist_jax import models
from fmnist_jax.benchmark import suite
from fmnist_jax.benchmark.candidates import CANDIDATES
from fmnist_jax.benchmark.interleaved import Budget, Candidate, ceiling, interleaved, ratios, summarise
from fmnist_jax.benchmark.problem import PROBLEMS
from fmnist_jax.errors import ConfigError
from fmnist_jax.models import count_parameters

_QUICK = Budget(repeats=2, seconds=0.01)


@pytest.fixture
def candidate_file(tmp_path, monkeypatch):
    return fake_candidates.writer(tmp_path, monkeypatch)


_SMALL = dataclasses.replace(PROBLEMS["model1"], batch_size=32)


def _candidate(name, tasks=("train", "evaluate")):
    return Candidate(name, CANDIDATES[name], _SMALL, tasks)


def _quiet(text):
    del text


def _settings(**changes):
    settings = {"models": ["model1"], "contenders": ["ours"], "budget": _QUICK, "pythons": {}}
    return suite.Settings(**(settings | changes))


@pytest.mark.parametrize("name", PROBLEMS)
def test_networks_have_as_many_parameters_as_our_models(name):
    from flax import nnx

    model = nnx.eval_shape(lambda: models.create(PROBLEMS[name].network, nnx.Rngs(0)))
    assert PROBLEMS[name].parameters() == count_parameters(nnx.state(model, nnx.Param))


def test_arithmetic_counted_by_hand():
    # Outputs x window x channels in x channels out, each a multiplication and an addition.
    conv1, conv2, conv3 = 26 * 26 * 9 * 1 * 32, 10 * 10 * 9 * 32 * 64, 3 * 3 * 9 * 64 * 128
    forward = 2 * (conv1 + conv2 + conv3 + 1152 * 256 + 256 * 10)
    model3 = PROBLEMS["model3"]
    assert model3.flops("evaluate") == forward == 5_997_824
    assert model3.flops("train") == 3 * forward - 2 * conv1
    assert 256 * model3.flops("train") == 4_506_648_576


def test_padding_is_not_counted_as_arithmetic():
    # Of 28 rows, the outer two on each side have one or two of the five taps in the padding.
    conv1, conv2 = 2 * (28 * 5 - 6) ** 2 * 32, 2 * (14 * 5 - 6) ** 2 * 32 * 64
    dense = 2 * (7 * 7 * 64 * 1024 + 1024 * 10)
    assert PROBLEMS["2c2d"].flops("evaluate") == conv1 + conv2 + dense


def test_arithmetic_of_strides_and_of_both_branches_of_a_block():
    # Side of the map times taps of a 3x3 window inside the image: at stride 2 only the first row's window leaves it.
    whole, halved, quartered = 3 * 28 - 2, 3 * 14 - 1, 3 * 7 - 1
    stem, first = whole**2 * 16, 2 * whole**2 * 16 * 16
    second = (halved**2 * 16 + (3 * 14 - 2) ** 2 * 32 + 14**2 * 16) * 32
    third = (quartered**2 * 32 + (3 * 7 - 2) ** 2 * 64 + 7**2 * 32) * 64
    assert PROBLEMS["resnet8"].flops("evaluate") == 2 * (stem + first + second + third + 64 * 10)


def test_the_width_is_that_of_every_convolution():
    wider = dataclasses.replace(PROBLEMS["model3"], channels=64)
    conv1, conv2, conv3 = 26 * 26 * 9 * 1 * 64, 10 * 10 * 9 * 64 * 128, 3 * 3 * 9 * 128 * 256
    assert wider.flops("evaluate") == 2 * (conv1 + conv2 + conv3 + 2304 * 256 + 256 * 10)


def test_least_traffic_of_a_step_by_hand():
    outputs = 13 * 13 * 32 + 5 * 5 * 64 + 10
    traffic = 784 + 4 * (2 * outputs) + 4 * 2 * 2 * 34_826 / 256
    assert PROBLEMS["model1"].traffic("train") == pytest.approx(traffic)


def test_the_ceiling_is_the_lower_of_the_two_roofs():
    assert ceiling(flops=10, traffic=1, flop_rate=100, bandwidth=100) == 10
    assert ceiling(flops=10, traffic=1, flop_rate=100, bandwidth=5) == 5


def test_ratios_are_of_the_same_turn():
    # In the second turn the machine was half as fast, for both of them.
    assert ratios([200.0, 100.0, 210.0], [100.0, 50.0, 100.0]) == {"median": 2.0, "low": 2.0, "high": 2.1}
    assert ratios([1.0], []) is None


def test_the_fastest_peer_is_neither_ours_nor_stock_flax():
    def record(seconds):
        tasks = {task: {"work": 100, "units": 1, "seconds": seconds} for task in ("train", "evaluate")}
        return {"status": "measured", "tasks": tasks}

    speeds = {"ours": [1.0, 1.0], "flax-loop": [0.5, 0.5], "keras": [3.0, 3.0], "torch": [2.0, 4.0, 2.0][:2]}
    machine = {"status": "measured", "tasks": {}}
    found = {"machine": machine, "candidates": {name: record(seconds) for name, seconds in speeds.items()}}
    found["candidates"]["keras-jit"] = {"status": "failed", "reason": "broke", "tasks": {}}
    summary = summarise(PROBLEMS["model1"], found, "train")
    assert summary["fastest_peer"] == "torch"
    assert summary["speedup_over"]["torch"] == {"median": 3.0, "low": 2.0, "high": 4.0}
    assert summary["examples_per_second"]["keras"]["median"] == pytest.approx(100 / 3)
    assert summary["roofline"] is None


def test_missing_and_failing_candidates_are_listed_with_their_reason(candidate_file):
    candidate_file("sound", "print('noise on standard output')")
    candidate_file("missing", "import no_such_framework")
    candidate_file("breaking", "raise RuntimeError('two\\nlines')")
    candidate_file("dying", "os.write(2, b'fatal: no luck\\n'); os._exit(9)")
    names = ["sound", "missing", "breaking", "dying"]
    logged = []
    found = interleaved([_candidate(name) for name in names], _QUICK, logged.append)
    assert [found[name]["status"] for name in names] == ["measured", "unavailable", "failed", "failed"]
    assert found["missing"]["reason"] == "no_such_framework is not installed"
    assert found["breaking"]["reason"] == "RuntimeError: two lines"
    assert found["dying"]["reason"] == "fatal: no luck (exit code 9)"
    assert len(found["sound"]["tasks"]["evaluate"]["seconds"]) == _QUICK.repeats
    assert found["sound"]["memory"]["host"] > 2**20
    assert logged


def test_a_candidate_that_fails_while_measured_takes_no_further_part(candidate_file):
    candidate_file("sound", "pass")
    candidate_file(
        "late",
        """
        def break_down(n):
            count = iter(range(3))
            return lambda: next(count) < 2 or os._exit(3)
        return Implementation({"train": Task(break_down, 1, 1), "evaluate": Task(break_down, 1, 1)}, 7, "a test", {})
        """,
    )
    found = interleaved([_candidate("late"), _candidate("sound")], _QUICK, _quiet)
    assert found["late"]["status"] == "failed"
    assert found["late"]["reason"] == "no message (exit code 3)"
    assert found["sound"]["status"] == "measured"


def test_measurements_are_interleaved(candidate_file, tmp_path):
    log = tmp_path / "turns"
    for name in ("first", "second"):
        body = f"""
        def prepare(n):
            def go():
                with open({str(log)!r}, "a") as file:
                    file.write("{name} ")
            return go
        return Implementation({{"train": Task(prepare, 1, 2)}}, 7, "a test", {{}})
        """
        candidate_file(name, body)
    interleaved([_candidate(name, ("train",)) for name in ("first", "second")], Budget(3, 0.0), _quiet)
    assert log.read_text().split()[-6:] == ["first", "second"] * 3


def test_the_whole_flow_with_ours_flax_and_one_that_is_missing(candidate_file, tmp_path, monkeypatch):
    candidate_file("absent", "import no_such_framework")
    monkeypatch.setitem(suite.PROBLEMS, "model1", dataclasses.replace(PROBLEMS["model1"], batch_size=8))
    settings = _settings(contenders=["ours", "flax-scan", "absent"])
    text = suite.run(tmp_path / "results", settings, _quiet)
    record = json.loads((tmp_path / "results" / "benchmark.json").read_text())
    model = record["models"]["model1"]
    assert model["candidates"]["ours"]["parameters"] == model["candidates"]["flax-scan"]["parameters"] == 34_826
    assert len(model["candidates"]["ours"]["first_step_seconds"]) == 2
    assert model["summary"]["train"]["speedup_over"]["flax-scan"]["median"] > 0
    roofline = model["summary"]["train"]["roofline"]
    # By hand: 2 conv1 + 3 (conv2 + dense) of model1. The share may exceed 1, see `interleaved.summarise`.
    assert roofline["flops_per_example"] == 2 * (2 * 26 * 26 * 9 * 32 + 3 * (10 * 10 * 9 * 32 * 64 + 1600 * 10))
    assert math.isfinite(roofline["reached"]["median"])
    assert roofline["reached"]["median"] > 0
    matmul = model["machine"]["tasks"]["matmul"]
    assert len(matmul["seconds"]) == _QUICK.repeats
    assert roofline["machine_flops_per_second"] == pytest.approx(
        statistics.median(matmul["work"] / seconds for seconds in matmul["seconds"])
    )
    assert "- absent (a test) unavailable: no_such_framework is not installed." in text
    assert (tmp_path / "results" / "benchmark.md").read_text() == text
    assert (tmp_path / "results" / "benchmark.png").read_bytes().startswith(b"\x89PNG")


def test_each_model_is_measured_in_its_own_batch_size_or_in_those_of_the_user():
    assert _settings(models=["model1", "resnet8"]).problems() == {
        name: PROBLEMS[name] for name in ("model1", "resnet8")
    }
    found = _settings(models=["speednet"], batch_sizes=["256", "512"]).problems()
    assert list(found) == ["speednet", "speednet, batches of 512"]
    assert [problem.batch_size for problem in found.values()] == [256, 512]
    assert [problem.network for problem in found.values()] == ["speednet", "speednet"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"models": ["model9"]}, "--models must be one of"),
        ({"contenders": ["torhc"]}, "did you mean 'torch'"),
        ({"contenders": []}, "--contenders must name"),
        ({"axes": ["batch", "chanels"]}, "--axes must be one of batch, cores, .* did you mean 'channels'"),
        ({"numerics": ["algorithm"]}, "--numerics must be one of precision, .* did you mean 'algorithms'"),
        ({"members": ["1", "many"]}, "--members must be sizes of populations, as in 1,8,64, not 'many'"),
        ({"members": ["0"]}, "not '0'"),
        ({"batch_sizes": ["256", "0"]}, "--batch_sizes must be numbers of images, as in 256,512, not '0'"),
        ({"pythons": {"keras": "/nowhere/python"}}, "--keras_python=/nowhere/python is no interpreter"),
    ],
)
def test_settings_that_do_not_hold(changes, words, tmp_path):
    with pytest.raises(ConfigError, match=words):
        suite.run(tmp_path / "results", _settings(**changes), _quiet)
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    "flags",
    [
        ["--models=model9"],
        ["--repeats=0"],
        ["--seconds=soon"],
        ["--contenders=x"],
        ["--members=1,many"],
        ["--batch_sizes=small"],
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
