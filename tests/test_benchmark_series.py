import json

import fake_contenders
import pytest

from fmnist_jax.benchmark import growth, numerics, plot, roofline, series, series_table, suite, table
from fmnist_jax.benchmark.architecture import PROBLEMS
from fmnist_jax.benchmark.contenders import Entry
from fmnist_jax.benchmark.measure import Effort
from fmnist_jax.benchmark.protocol import Request
from fmnist_jax.benchmark.settings import Settings

_QUICK = Effort(repeats=2, seconds=0.0)
_OURS = Request("ours", "", "model1", 32)


@pytest.fixture
def contender_file(tmp_path, monkeypatch):
    return fake_contenders.writer(tmp_path, monkeypatch)


def _quiet(text):
    del text


def _measured(*seconds, **more):
    return {"status": "measured", "tasks": {"train": {"work": 6400.0, "seconds": seconds}}, **more}


def _failed(reason):
    return {"status": "failed", "reason": reason, "tasks": {}}


def _rows(text):
    lines = [line.split(" | ") for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip(" |") for cell in line] for line in lines]


def test_growth_is_of_batch_size_cores_members_and_channels(contender_file):
    contender_file("ours")
    found = dict(growth.measure(_OURS, list(growth.AXES), [1, 3], _QUICK, _quiet))
    assert list(found) == ["batch size", "cores", "members (vmap)", "members (loop)", "channels"]
    assert list(found["members (vmap)"]) == list(found["members (loop)"]) == ["1", "3"]
    assert list(found["channels"]) == ["16", "32", "64", "128"]
    batches = {int(size): entrant["tasks"]["train"] for size, entrant in found["batch size"].items()}
    assert all(task["work"] == task["units"] * size for size, task in batches.items())
    model1 = roofline.training_flops(PROBLEMS["model1"].architecture)
    assert found["channels"]["32"]["flops_per_example"] == found["cores"]["1"]["flops_per_example"] == model1
    assert found["channels"]["64"]["flops_per_example"] > 2 * model1


def test_what_is_asked_for_reaches_the_contender(contender_file):
    told = "problem.precision, problem.lowering, problem.batch_size, problem.architecture.convs[1].features, variant"
    contender_file("ours", f"raise Unavailable(repr(({told})))")
    request = Request("ours", "vmap 3", "model1", 32, channels=8, precision="bfloat16", lowering="xla")
    found = series.measure({"it": request}, _QUICK, _quiet)
    assert found["it"]["reason"] == "('bfloat16', 'xla', 32, 16, 'vmap 3')"


def test_who_fails_beside_others_is_measured_alone(contender_file, tmp_path):
    body = f"""
    if variant == "greedy" and not os.path.exists({str(tmp_path / "tried")!r}):
        open({str(tmp_path / "tried")!r}, "w").close()
        raise MemoryError("no room")
    if variant == "broken":
        raise MemoryError("never any room")
    """
    contender_file("ours", body)
    variants = ("", "greedy", "broken")
    points = {variant or "plain": Request("ours", variant, "model1", 32) for variant in variants}
    found = series.measure(points, _QUICK, _quiet)
    assert {name: (record["status"], record["alone"]) for name, record in found.items()} == {
        "plain": ("measured", False),
        "greedy": ("measured", True),
        "broken": ("failed", True),
    }
    text = series_table.growth("model1", {"batch size": {"32": found["plain"], "64": found["greedy"]}}, 32)
    assert "- 64: failed beside the others; measured after them, alone." in text
    assert found["broken"]["reason"] == "MemoryError: never any room"


def test_numerics_are_measured_around_what_fails(contender_file, tmp_path, monkeypatch):
    body = """
    if problem.precision == "tf32":
        raise Unavailable("a test has no TF32")
    if problem.lowering == "patches" and variant == "vmap 64":
        raise MemoryError("RESOURCE_EXHAUSTED: no room")
    """
    contender_file("ours", body)
    contender_file("machine")
    monkeypatch.setattr(suite, "MACHINE", Entry("machine", "", "ours", "a test"))
    effort, members = Effort(2, 0.0), ["8", "64"]
    settings = Settings(["model1"], ["ours"], effort, {}, ["cores", "channels"], numerics.PARTS, members)
    text = suite.run(tmp_path / "results", settings, _quiet)
    record = json.loads((tmp_path / "results" / "benchmark.json").read_text())
    found = record["numerics"]["model1"]
    # What calls itself no CPU is an accelerator: cores say nothing about it, and bfloat16 is worth a run.
    assert list(record["growth"]["model1"]) == ["channels"]
    assert list(found["run"]) == ["float32", "bfloat16"]
    assert found["run"]["float32"]["tasks"]["ten epochs"]["units"] == 10
    assert {name: entrant["status"] for name, entrant in found["precision"].items()} == {
        "float32": "measured",
        "tf32": "unavailable",
        "bfloat16": "measured",
    }
    assert list(found["lowerings"]) == members
    assert list(found["lowerings"]["8"]) == ["auto", "xla", "patches", "winograd", "fourier"]
    assert found["lowerings"]["64"]["patches"]["status"] == "failed"
    assert found["lowerings"]["64"]["winograd"]["status"] == "measured"
    assert "- tf32: unavailable: a test has no TF32." in text
    assert "- patches, 64 members: failed: MemoryError: RESOURCE_EXHAUSTED: no room." in text
    assert (tmp_path / "results" / "benchmark_growth.png").read_bytes().startswith(b"\x89PNG")


def test_populations_are_larger_on_an_accelerator_unless_the_user_says_so():
    settings = Settings(["model1"], ["ours"], _QUICK, {})
    assert settings.sizes(accelerator=False) == [1, 2, 4, 8]
    assert settings.sizes(accelerator=True) == [1, 8, 64, 256]
    assert Settings(["model1"], ["ours"], _QUICK, {}, members=["3"]).sizes(accelerator=True) == [3]


def test_the_table_of_growth_gives_steps_of_all_members_and_how_many_times_the_first():
    axes = {
        "batch size": {"32": _measured(2.0), "64": _measured(1.0)},
        "members (vmap)": {"1": _measured(2.0, 4.0), "8": _measured(1.0, 1.0), "64": _failed("broke")},
    }
    text = series_table.growth("model1", axes, batch_size=128)
    rows = _rows(text)
    assert rows[0] == ["batch size", "training, examples/s", "steps/s, of all members", "times the first"]
    assert ["64", "6,400 (6,400 to 6,400)", "100.0", "2.00 (2.00 to 2.00)"] in rows
    assert ["8", "6,400 (6,400 to 6,400)", "50.0", "3.00 (2.00 to 4.00)"] in rows
    assert ["64", "failed", "", ""] in rows
    assert "- 64: failed: broke." in text


def test_the_arithmetic_is_shown_where_it_was_counted():
    axes = {
        "channels": {
            "16": _measured(1.0, flops_per_example=5e6),
            "32": {**_failed("broke"), "flops_per_example": 1e7},
            "64": _measured(4.0, flops_per_example=4e7),
        }
    }
    rows = _rows(series_table.growth("model1", axes, batch_size=64))
    assert [row[2] for row in rows] == ["GFLOP/s", rows[1][2], "32", "", "64"]


def test_the_table_of_lowerings_has_members_down_and_lowerings_across():
    found = {
        "1": {"xla": _measured(1.0), "patches": _measured(2.0)},
        "64": {"xla": _measured(0.5, alone=True), "patches": _failed("no room")},
    }
    text = series_table.numerics("model1", {"lowerings": found}, 32)
    assert _rows(text)[0] == ["members", "xla", "patches"]
    assert ["1", "6,400 (6,400 to 6,400)", "3,200 (3,200 to 3,200)"] in _rows(text)
    assert ["64", "12,800 (12,800 to 12,800) alone", "failed"] in _rows(text)
    assert "- patches, 64 members: failed: no room." in text


def test_a_whole_run_is_in_seconds():
    run = {"status": "measured", "tasks": {"ten epochs": {"work": 600_000, "seconds": [2.0, 4.0, 3.0]}}}
    rows = _rows(series_table.numerics("model1", {"run": {"float32": run, "bfloat16": _failed("broke")}}, 32))
    assert ["float32", "3.00 (2.00 to 4.00)", "200,000 (150,000 to 300,000)"] in rows
    assert ["bfloat16", "", "failed"] in rows


def test_growth_is_drawn_of_models_with_different_axes_and_points_that_failed():
    manifest = {"processor": "a test", "cores": 1, "repeats": 2}
    channels = {"16": _measured(1.0, flops_per_example=5e6), "32": {**_failed("broke"), "flops_per_example": 1e7}}
    nothing = {"1": _failed("broke"), "2": _failed("broke")}
    models = {"model1": {"channels": channels}, "model2": {"cores": nothing, "channels": channels}}
    assert plot.growth({"manifest": manifest, "growth": models}).startswith(b"\x89PNG")


def test_results_from_before_there_were_numerics_have_their_tables():
    manifest = dict.fromkeys(["command", "started", "processor", "cores", "repeats", "data"], "a test")
    manifest |= {"git_sha": "0" * 40, "git_dirty": False, "load_average": 1.0}
    assert table.markdown({"manifest": manifest, "models": {}, "growth": {}}).startswith("# Speed")
