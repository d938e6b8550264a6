import dataclasses
import json

import fake_candidates
import pytest

from fmnist_jax.benchmark import report, suite
from fmnist_jax.benchmark.candidates import Entry
from fmnist_jax.benchmark.interleaved import Budget
from fmnist_jax.benchmark.problem import PROBLEMS

_QUICK = Budget(repeats=2, seconds=0.0)
_PROBLEM = dataclasses.replace(PROBLEMS["model1"], batch_size=32)


@pytest.fixture
def candidate_file(tmp_path, monkeypatch):
    return fake_candidates.writer(tmp_path, monkeypatch)


def _quiet(text):
    del text


def _measure(axis, members=()):
    """The records of the series of an axis, by title."""
    return dict(suite.measure_growth(axis, _PROBLEM, members, _QUICK, _quiet))


def _measured(*seconds, **more):
    record = {"status": "measured", "tasks": {"train": {"work": 6400.0, "seconds": seconds}}}
    return record | {"flops_per_example": 1e6, "alone": False} | more


def _failed(reason):
    return {"status": "failed", "reason": reason, "tasks": {}, "flops_per_example": 1e6, "alone": True}


def _markdown(axes, batch_size=32):
    """The results of a model1 of which nothing but these axes was measured."""
    manifest = dict.fromkeys(["command", "started", "processor", "cores", "repeats", "data"], "a test")
    manifest |= {"git_sha": "0" * 40, "git_dirty": False, "load_average": 1.0}
    empty = {"examples_per_second": {}, "speedup_over": {}, "fastest_peer": None, "roofline": None}
    model = {"batch_size": batch_size, "optimizer": "adam", "parameters": 7, "candidates": {}}
    model["summary"] = {"train": empty, "evaluate": empty}
    return report.markdown({"manifest": manifest, "models": {"model1": model}, "growth": {"model1": axes}})


def _rows(text):
    lines = [line.split(" | ") for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip(" |") for cell in line] for line in lines]


def test_growth_is_of_batch_size_cores_members_and_channels(candidate_file):
    candidate_file("ours")
    found = {}
    for axis in suite.GROWTH:
        found |= _measure(axis, [1, 3])
    assert list(found) == ["batch size", "cores", "members (vmap)", "members (threads)", "channels"]
    assert list(found["members (vmap)"]) == list(found["members (threads)"]) == ["1", "3"]
    assert list(found["channels"]) == ["16", "32", "64", "128"]
    batches = {int(size): record["tasks"]["train"] for size, record in found["batch size"].items()}
    assert all(task["work"] == task["units"] * size for size, task in batches.items())
    model1 = PROBLEMS["model1"].flops("train")
    assert found["channels"]["32"]["flops_per_example"] == found["cores"]["1"]["flops_per_example"] == model1
    assert found["channels"]["64"]["flops_per_example"] > 2 * model1


@pytest.mark.parametrize(
    ("axis", "title", "value", "told"),
    [
        ("batch", "batch size", "128", "('', 'auto', 128, 32, '')"),
        ("channels", "channels", "16", "('', 'auto', 32, 16, '')"),
        ("threads", "members (threads)", "3", "('', 'auto', 32, 32, 'threads 3')"),
        ("precision", "precision", "bfloat16", "('bfloat16', 'auto', 32, 32, '')"),
        ("algorithms", "algorithm, 3 members", "xla", "('', 'xla', 32, 32, 'vmap 3')"),
    ],
)
def test_what_varies_reaches_the_candidate(candidate_file, axis, title, value, told):
    values = "problem.precision, problem.algorithm, problem.batch_size, problem.channels, variant"
    candidate_file("ours", f"raise Unavailable(repr(({values})))")
    assert _measure(axis, [3])[title][value]["reason"] == told


def test_what_fails_beside_the_others_is_measured_alone(candidate_file, tmp_path):
    body = f"""
    if problem.precision == "tf32" and not os.path.exists({str(tmp_path / "tried")!r}):
        open({str(tmp_path / "tried")!r}, "w").close()
        raise MemoryError("no room")
    if problem.precision == "bfloat16":
        raise MemoryError("never any room")
    """
    candidate_file("ours", body)
    found = _measure("precision")["precision"]
    assert {name: (record["status"], record["alone"]) for name, record in found.items()} == {
        "float32": ("measured", False),
        "tf32": ("measured", True),
        "bfloat16": ("failed", True),
    }
    text = _markdown({"precision": found})
    assert "- tf32: failed beside the others; measured after them, alone." in text
    assert "- bfloat16: failed: MemoryError: never any room." in text


def test_numerics_are_measured_around_what_fails(candidate_file, tmp_path, monkeypatch):
    body = """
    if problem.precision == "tf32":
        raise Unavailable("a test has no TF32")
    if problem.algorithm == "patches" and variant == "vmap 64":
        raise MemoryError("RESOURCE_EXHAUSTED: no room")
    """
    candidate_file("ours", body)
    candidate_file("machine")
    monkeypatch.setattr(suite, "MACHINE", Entry("machine", "", "ours", "a test"))
    settings = suite.Settings(["model1"], ["ours"], _QUICK, {}, ["cores", "channels"], suite.NUMERICS, ["8", "64"])
    text = suite.run(tmp_path / "results", settings, _quiet)
    record = json.loads((tmp_path / "results" / "benchmark.json").read_text())
    found = record["growth"]["model1"]
    # A device that is no CPU is an accelerator, whose speed does not depend on the cores.
    assert list(found) == ["channels", "precision", "algorithm, 8 members", "algorithm, 64 members"]
    assert {name: record["status"] for name, record in found["precision"].items()} == {
        "float32": "measured",
        "tf32": "unavailable",
        "bfloat16": "measured",
    }
    assert list(found["algorithm, 8 members"]) == ["auto", "xla", "patches", "winograd", "fourier"]
    assert found["algorithm, 64 members"]["patches"]["status"] == "failed"
    assert found["algorithm, 64 members"]["winograd"]["status"] == "measured"
    assert "- tf32: unavailable: a test has no TF32." in text
    assert "- patches: failed: MemoryError: RESOURCE_EXHAUSTED: no room." in text
    assert (tmp_path / "results" / "benchmark_growth.png").read_bytes().startswith(b"\x89PNG")


def test_populations_are_larger_on_an_accelerator_unless_the_user_says_so():
    settings = suite.Settings(["model1"], ["ours"], _QUICK, {})
    assert settings.population_sizes(accelerator=False) == [1, 2, 4, 8]
    assert settings.population_sizes(accelerator=True) == [1, 8, 64, 256]
    settings = suite.Settings(["model1"], ["ours"], _QUICK, {}, members=["3"])
    assert settings.population_sizes(accelerator=True) == [3]


def test_tables_give_steps_of_all_members_and_the_speed_relative_to_the_first():
    axes = {
        "batch size": {"32": _measured(2.0), "64": _measured(1.0)},
        "members (vmap)": {"1": _measured(2.0, 4.0), "8": _measured(1.0, 1.0), "64": _failed("broke")},
    }
    text = _markdown(axes, batch_size=128)
    header = ["batch size", "training, images/s", "GFLOP/s", "steps/s, all members", "relative to the first"]
    assert header in _rows(text)
    assert ["64", "6,400 (6,400 to 6,400)", "6", "100.0", "2.00 (2.00 to 2.00)"] in _rows(text)
    assert ["8", "6,400 (6,400 to 6,400)", "6", "50.0", "3.00 (2.00 to 4.00)"] in _rows(text)
    assert ["64", "failed", "", "", ""] in _rows(text)
    assert "- 64: failed: broke." in text


def test_the_arithmetic_is_that_of_each_width():
    channels = {
        "16": _measured(1.0, flops_per_example=5e6),
        "32": _failed("broke"),
        "64": _measured(4.0, flops_per_example=4e7),
    }
    rows = _rows(_markdown({"channels": channels}, batch_size=64))[-5:]
    assert [row[2] for row in rows] == ["GFLOP/s", rows[1][2], "32", "", "64"]


def test_growth_is_drawn_of_models_with_different_axes_and_points_that_failed():
    manifest = {"processor": "a test", "cores": 1, "repeats": 2}
    channels = {"16": _measured(1.0, flops_per_example=5e6), "32": _failed("broke")}
    nothing = {"1": _failed("broke"), "2": _failed("broke")}
    models = {"model1": {"channels": channels}, "model2": {"cores": nothing, "channels": channels}}
    assert report.draw_growth({"manifest": manifest, "growth": models}).startswith(b"\x89PNG")


def test_axes_without_numbers_are_not_drawn():
    growth_of_none = {"model1": {"precision": {"float32": _measured(1.0)}}}
    assert report.draw_growth({"manifest": {}, "growth": growth_of_none}) is None
