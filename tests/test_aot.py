from __future__ import annotations

import dataclasses
import json

import jax
import pytest
import toy
from run_script import run_script

from fmnist_jax.benchmark.aot import record
from fmnist_jax.benchmark.aot.programs import Variant, measure, variants
from fmnist_jax.benchmark.aot.targets import CHIPS, Chip, Target, parse
from fmnist_jax.errors import ConfigError, WorkdirError

SINGLE, PAIR = (Variant(members, "float32", "xla") for members in (1, 2))
# Nine tenths of its memory hold the data and this much more.
FREE = 9_000_000
CHIP = Chip({"float32": 1e12, "bfloat16": 2e12}, 1e9, (70_000 * 788 + FREE) / 0.9)


@pytest.fixture(scope="module")
def found() -> dict:
    """The record of a tiny network, compiled for this machine's CPU as if it were a chip."""
    target = dataclasses.replace(parse("cpu"), name="tpu-v0:1", chip=CHIP)
    plan = [(SINGLE, "step"), (SINGLE, "evaluate"), (PAIR, "step"), (PAIR, "epoch")]
    config, lines = toy.toy_config(model__name="linear"), []
    *_, found = record.measured(config, "linear", target, plan, lines.append)
    assert len(lines) == len(found["programs"]) == 4
    return json.loads(json.dumps(found))


def test_a_program_costs_arithmetic_traffic_and_memory(found):
    step, _, pair, epoch = found["programs"]
    assert [row["program"] for row in found["programs"]] == ["step", "evaluate", "step", "epoch"]
    products = 2 * 2 * 49 * 10 * toy.BATCH  # of the only layer and of its gradient
    assert products < step["flops"] < 3 * products
    assert 1.5 * step["flops"] < pair["flops"] < 3 * step["flops"]
    for row in found["programs"]:
        assert row["error"] is None
        assert row["collectives"] == {}
        assert row["compile_seconds"] > 0
        assert row["compile_cpu_seconds"] > 0
        assert row["devices"] == 1
    assert epoch["memory_bytes"] > 60_000 * 788 > step["memory_bytes"]
    assert epoch["member_bytes"] < epoch["memory_bytes"] / 2
    assert step["members_fit"] == FREE // step["member_bytes"]


def test_the_roofline_is_that_of_the_chip(found):
    step, evaluate, pair, epoch = found["programs"]
    for row, images in ((step, toy.BATCH), (evaluate, toy.EVAL_BATCH), (pair, 2 * toy.BATCH)):
        seconds = {"flops": row["flops"] / 1e12, "bytes": row["bytes"] / 1e9}
        assert row["images_per_second"] == pytest.approx(images / max(seconds.values()))
        assert row["bound"] == max(seconds, key=seconds.__getitem__)
    assert epoch["images_per_second"] is None  # its loop counts once


def test_a_program_that_does_not_fit_is_said_to(found):
    def compile(lowered: object) -> object:
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: 20 GB of 16")

    row = measure(toy.toy_config(), Target("tpu-v0:1", CHIP, jax.devices()[:1], compile), PAIR, "step")
    assert row.keys() == found["programs"][0].keys() - {"load_average"}
    assert row["error"] == "out of memory"
    assert row["flops"] is None
    lines = record.markdown([found | {"programs": [row]}]).splitlines()
    assert "out of memory" in lines[-1]


def test_the_table_has_a_row_for_each_variant(found, tmp_path):
    file = tmp_path / "linear.json"
    file.write_text(json.dumps(found))
    other = found | {"target": "gpu-h100:4"}
    text = record.markdown([record.read(file), other, found | {"optimization_level": "O1"}])
    rows = [line for line in text.splitlines() if line.startswith("| linear")]
    assert len(rows) == 6
    assert "### tpu-v0:1, compiled at O1\n" in text
    assert text.index("### tpu-v0:1") < text.index(rows[0]) < text.index("### gpu-h100:4")
    assert run_script("aot", file, file).out.count("| linear |") == 4


def test_what_is_no_record_is_refused(tmp_path):
    file = tmp_path / "other.json"
    file.write_text("{}")
    with pytest.raises(
        WorkdirError, match=r"other\.json has no config, optimization_level, programs, target; give files"
    ):
        record.read(file)


def test_devices_that_communicate_in_a_population_fail_the_command(found, tmp_path):
    file = tmp_path / "linear.json"
    found["programs"][2]["collectives"] = {"all-reduce": 3}
    file.write_text(json.dumps(found))
    ended = run_script("aot", file)
    assert ended.code == 1
    assert "step of 2 members: all-reduce" in ended.err
    found["programs"][2]["collectives"] = {}


def test_every_combination_is_compiled_once():
    config = toy.toy_config(precision="bfloat16")
    chip, cpu = (Target("", chip, [], lambda lowered: lowered) for chip in (CHIP, None))
    assert variants(config, ["1", "64"], [], [], chip) == [Variant(each, "bfloat16", "xla") for each in (1, 64)]
    assert variants(config, ["1"], [], ["auto"], cpu) == [Variant(1, "bfloat16", "auto")]
    given = variants(config, ["1"], ["float32", "bfloat16"], ["auto", "xla", "patches"], chip)
    assert [(each.precision, each.algorithm) for each in given] == [
        ("float32", "xla"),
        ("float32", "patches"),
        ("bfloat16", "xla"),
        ("bfloat16", "patches"),
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--target=tpu-v9"], "--target must be one of tpu-v5e:2x2, "),
        (["--target=cpu:2"], "--target must be one of tpu-v5e:2x2, "),
        (["--members=1,0"], "--members must be numbers of members, as in 1,64, not '0'"),
        (["--members="], "--members must be numbers of members, as in 1,64"),
        (["--precision=float16"], "--precision must be one of float32, bfloat16, not 'float16'"),
        (["--algorithm=xia"], "--algorithm must be one of "),
        (["--programs=steps"], "--programs must be one of epoch, step, evaluate, not 'steps'; did you mean 'step'?"),
        (["--config.train.batch_size=0"], "config.train.batch_size must be "),
    ],
)
def test_a_wrong_flag_is_refused_in_one_line(arguments, message, tmp_path):
    output = tmp_path / "found.json"
    ended = run_script("aot", "--config=configs/model1.py", f"--output={output}", *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith(f"error: {message}") or message in ended.err
    assert ended.err.count("\n") == 1
    assert not output.exists()


def test_without_a_config_nothing_is_compiled():
    ended = run_script("aot", "--target=cpu")
    assert ended.code == 2
    assert ended.err.startswith("error: --config must be given")


@pytest.mark.parametrize("kind", CHIPS)
def test_a_compiler_that_is_missing_is_named(kind):
    try:
        assert len(parse(kind).devices) > 1
    except ConfigError as error:
        assert f"--target={kind} needs a compiler that is not installed" in str(error)  # noqa: PT017
