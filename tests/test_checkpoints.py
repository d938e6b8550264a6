from __future__ import annotations

import json
import logging
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toy

from fmnist_jax import optim
from fmnist_jax.errors import WorkdirError
from fmnist_jax.train.cancelled_tasks import silence_cancelled_tasks
from fmnist_jax.train.checkpoints import HISTORY, Checkpoint, Checkpoints
from fmnist_jax.train.network import TrainState
from fmnist_jax.train.run import make_run, member_of


def _state(seed: int, *, size: int = 3, **params: jax.Array) -> TrainState:
    rng = np.random.default_rng(seed)
    layer = {"kernel": jnp.asarray(rng.normal(size=(size, 4)), jnp.float32), "bias": jnp.zeros(4)}
    return TrainState(jnp.int32(seed), jnp.zeros(2, jnp.uint32), {"layer": layer | params}, {}, (), None)


def _history(*accuracies: float) -> list[dict]:
    return [{"epoch": i, "val_accuracy": value, "val_loss": None} for i, value in enumerate(accuracies, start=1)]


def _saved(folder: Path, *accuracies: float, keep: int = 2, keep_best: bool = False) -> None:
    """Saves `_state(epoch)` after each epoch of those accuracies."""
    checkpoints = Checkpoints(folder, _state(0), keep=keep, keep_best=keep_best)
    for epoch in range(1, len(accuracies) + 1):
        checkpoints.save(epoch, _state(epoch), _history(*accuracies[:epoch])[-1:])
    checkpoints.close()


def _restored(folder: Path, template: TrainState | None = None) -> Checkpoint | None:
    checkpoints = Checkpoints(folder, template or _state(0))
    try:
        return checkpoints.restore_newest()
    finally:
        checkpoints.close()


def _epochs(folder: Path) -> list[int]:
    checkpoints = Checkpoints(folder, _state(0))
    try:
        return list(checkpoints.epochs())
    finally:
        checkpoints.close()


def _assert_equal(a: TrainState, b: TrainState) -> None:
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for left, right in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        assert (left.shape, left.dtype) == (right.shape, right.dtype)
        assert np.asarray(left).tobytes() == np.asarray(right).tobytes()


@pytest.mark.parametrize("name", optim.names())
def test_round_trip_of_the_state_of_each_optimizer(tmp_path, name):
    config = toy.toy_config(model__name="toy-batchnorm", optimizer__name=name, train__ema_decay=0.9)
    template = jax.eval_shape(make_run(config, toy.TRAIN).init, member_of(config))
    rng = np.random.default_rng(0)
    # Any bytes, not-a-number among them.
    state = jax.tree.map(
        lambda leaf: jnp.asarray(
            np.frombuffer(rng.bytes(leaf.size * leaf.dtype.itemsize), leaf.dtype).reshape(leaf.shape)
        ),
        template,
    )
    checkpoints = Checkpoints(tmp_path / "checkpoints", template, keep=1)
    checkpoints.save(7, state, _history(*[0.1] * 7))
    checkpoints.close()
    epoch, restored, history = _restored(tmp_path / "checkpoints", template)
    assert epoch == 7
    assert history == _history(*[0.1] * 7)
    _assert_equal(restored, state)


def test_a_state_may_be_donated_while_it_is_being_saved(tmp_path):
    state = _state(1, size=500_000)
    expected = jax.tree.map(lambda leaf: np.array(leaf, copy=True), state)
    overwrite = jax.jit(lambda state: jax.tree.map(lambda leaf: leaf * 3 + 1, state), donate_argnums=0)
    checkpoints = Checkpoints(tmp_path, state, keep=1)
    checkpoints.save(1, state, _history(0.5))
    for _ in range(10):
        given, state = state, overwrite(state)
        # A view of its memory would have kept it from being given away.
        assert all(leaf.is_deleted() for leaf in jax.tree.leaves(given))
    jax.block_until_ready(state)
    checkpoints.close()
    assert not np.array_equal(state.params["layer"]["kernel"], expected.params["layer"]["kernel"])
    _assert_equal(_restored(tmp_path, state).state, expected)


def test_none_where_nothing_was_saved(tmp_path):
    assert _restored(tmp_path) is None


@pytest.mark.smoke
def test_the_newest_is_restored_and_only_so_many_are_kept(tmp_path):
    _saved(tmp_path, 0.5, 0.9, 0.8, 0.7, 0.6, keep=2)
    assert _epochs(tmp_path) == [4, 5]
    restored = _restored(tmp_path)
    assert restored.epoch == 5
    assert restored.history == _history(0.5, 0.9, 0.8, 0.7, 0.6)
    _assert_equal(restored.state, _state(5))


@pytest.mark.parametrize(
    ("accuracies", "kept"), [((0.5, 0.9, 0.8, 0.7, 0.6), [2, 5]), ((0.5, 0.9, 0.8, 0.9), [4]), ((0.1, 0.2), [2])]
)
def test_the_best_is_kept_too_the_latest_of_equals(tmp_path, accuracies, kept):
    _saved(tmp_path, *accuracies, keep=1, keep_best=True)
    assert _epochs(tmp_path) == kept


def test_the_best_is_remembered_by_the_next_process(tmp_path):
    _saved(tmp_path, 0.9, 0.8, keep=1, keep_best=True)
    checkpoints = Checkpoints(tmp_path, _state(0), keep=1, keep_best=True)
    checkpoints.resume_from(checkpoints.restore_newest())
    checkpoints.save(3, _state(3), _history(0.9, 0.8, 0.7)[2:])
    checkpoints.close()
    assert _epochs(tmp_path) == [1, 3]


def test_what_came_after_is_forgotten(tmp_path):
    _saved(tmp_path, 0.9, 0.8, 0.7, 0.6, keep=9)
    checkpoints = Checkpoints(tmp_path, _state(0), keep=1, keep_best=True)
    checkpoints.resume_from(Checkpoint(3, _state(3), _history(0.9, 0.8, 0.7)))
    checkpoints.close()
    assert _epochs(tmp_path) == [1, 3]


@pytest.mark.parametrize(
    ("template", "message"),
    [
        (_state(0, extra=jnp.zeros(5)), r"params\.layer\.extra is missing, expected float32\[5\]"),
        (
            TrainState(jnp.int32(0), jnp.zeros(2, jnp.uint32), {"layer": {"bias": jnp.zeros(4)}}, {}, (), None),
            r"params\.layer\.kernel is float32\[3, 4\], expected missing",
        ),
        (_state(0, size=2), r"params\.layer\.kernel is float32\[3, 4\], expected float32\[2, 4\]"),
        (_state(0)._replace(step=jnp.float32(0)), r"step is int32\[\], expected float32\[\]"),
        (_state(0, bias=jnp.zeros(4, jnp.bfloat16)), r"params\.layer\.bias is float32\[4\], expected bfloat16\[4\]"),
        (_state(0)._replace(ema={"layer": {"bias": jnp.zeros(4)}}), r"ema\.layer\.bias is missing"),
    ],
    ids=["missing", "extra", "shape", "type", "precision", "average"],
)
def test_another_programs_state_is_refused_by_the_name_of_the_array(tmp_path, template, message):
    _saved(tmp_path, 0.5)
    with pytest.raises(WorkdirError, match=f"checkpoint .*1 does not fit this run: {message}"):
        _restored(tmp_path, template)


def _files(folder: Path, pattern: str) -> list[Path]:
    found = [path for path in folder.glob(pattern) if path.is_file()]
    assert found
    return found


def _flip(pattern: str) -> Callable[[Path], None]:
    """Flips the lowest bit of the byte in the middle of each file."""

    def damage(checkpoint: Path) -> None:
        for path in _files(checkpoint, pattern):
            content = bytearray(path.read_bytes())
            content[len(content) // 2] ^= 1
            path.write_bytes(content)

    return damage


def _truncate(pattern: str) -> Callable[[Path], None]:
    def damage(checkpoint: Path) -> None:
        for path in _files(checkpoint, pattern):
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    return damage


def _delete(pattern: str) -> Callable[[Path], None]:
    def damage(checkpoint: Path) -> None:
        for path in _files(checkpoint, pattern):
            path.unlink()

    return damage


DAMAGES = {
    "flipped data": _flip("state/d/*"),
    "flipped process data": _flip("state/ocdbt.process_0/d/*"),
    "flipped arrays' list": _flip("state/_METADATA"),
    "flipped index": _flip("state/manifest.ocdbt"),
    "flipped record": _flip("record/metadata"),
    "truncated data": _truncate("state/d/*"),
    "truncated arrays' list": _truncate("state/_METADATA"),
    "truncated index": _truncate("state/manifest.ocdbt"),
    "truncated record": _truncate("record/metadata"),
    "empty data": lambda checkpoint: [path.write_bytes(b"") for path in _files(checkpoint, "state/**/*")],
    "deleted arrays' list": _delete("state/_METADATA"),
    "deleted index": _delete("state/manifest.ocdbt"),
    "deleted data": _delete("state/d/*"),
    "deleted record": _delete("record/metadata"),
    "deleted state": lambda checkpoint: shutil.rmtree(checkpoint / "state"),
    "deleted record folder": lambda checkpoint: shutil.rmtree(checkpoint / "record"),
}


@pytest.fixture(scope="module")
def two(tmp_path_factory) -> Path:
    """A folder of two checkpoints, to be copied."""
    folder = tmp_path_factory.mktemp("two")
    _saved(folder, 0.5, 0.75)
    return folder


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_passed_over_with_a_warning(tmp_path, two, damage, capsys):
    folder = tmp_path / "checkpoints"
    shutil.copytree(two, folder)
    DAMAGES[damage](folder / "2")
    restored = _restored(folder)
    warning = capsys.readouterr().err
    if restored.epoch == 2:
        # The damage was where nothing depends on it: then it must have done no harm.
        assert damage == "flipped process data"
        assert restored.history == _history(0.5, 0.75)
        _assert_equal(restored.state, _state(2))
        return
    assert restored.epoch == 1
    assert restored.history == _history(0.5)
    _assert_equal(restored.state, _state(1))
    assert warning.startswith(f"warning: checkpoint {folder / '2'} is damaged (")
    assert warning.count("\n") == 1


def test_a_checkpoint_that_is_missing_is_warned_of(tmp_path, two, capsys):
    folder = tmp_path / "checkpoints"
    shutil.copytree(two, folder)
    assert _restored(folder).epoch == 2
    assert capsys.readouterr().err == ""
    shutil.rmtree(folder / "2")
    assert _restored(folder).epoch == 1
    assert capsys.readouterr().err == f"warning: checkpoint {folder / '2'} is missing or incomplete\n"


def test_when_all_are_damaged_it_says_so(tmp_path, two):
    folder = tmp_path / "checkpoints"
    shutil.copytree(two, folder)
    for epoch in ("1", "2"):
        DAMAGES["truncated data"](folder / epoch)
        DAMAGES["truncated index"](folder / epoch)
    with pytest.raises(WorkdirError, match=f"every checkpoint in {folder} is damaged"):
        _restored(folder)


def _change_history(folder: Path, old: str, new: str) -> None:
    path = folder / HISTORY
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def test_a_history_that_lost_its_last_records_or_has_others_is_of_older_checkpoints(tmp_path, two, capsys):
    for number, (old, new) in enumerate([("0.75", "0.25"), ('0.75, "val_loss": null}\n', "")]):
        folder = shutil.copytree(two, tmp_path / str(number))
        _change_history(folder, old, new)
        assert _restored(folder).history == _history(0.5)
        assert f"{HISTORY} does not hold the records that were saved" in capsys.readouterr().err


def test_a_damaged_history_is_read_from_the_metrics_beside_it(tmp_path, two):
    folder = shutil.copytree(two, tmp_path / "checkpoints")
    (tmp_path / "metrics.jsonl").write_text((folder / HISTORY).read_text().replace("null}", 'null, "test_loss": 1}'))
    _change_history(folder, "0.5", "0.4")
    assert _restored(folder).history == _history(0.5, 0.75)


def test_a_checkpoint_of_an_older_version_holds_its_records_itself(tmp_path, two):
    folder = shutil.copytree(two, tmp_path / "checkpoints")
    (folder / HISTORY).unlink()
    (record,) = _files(folder, "2/record/metadata")
    record.write_text(json.dumps(json.loads(record.read_text()) | {"history": _history(0.5, 0.75)}))
    assert _restored(folder).history == _history(0.5, 0.75)


_KILLED = """
import os, sys
from pathlib import Path
import test_checkpoints as t
from fmnist_jax.train.cancelled_tasks import silence_cancelled_tasks
from fmnist_jax.train.checkpoints import Checkpoints

checkpoints = Checkpoints(Path(sys.argv[1]), t._state(0), keep=2)
checkpoints.save(1, t._state(1), t._history(0.5))
checkpoints.wait()
os.rename = os.replace = Path.rename = Path.replace = lambda *_: os._exit(9)  # what makes a checkpoint complete
checkpoints.save(2, t._state(2), t._history(0.5, 0.6)[1:])
checkpoints.wait()
"""


def test_what_a_killed_process_had_begun_to_save_does_not_count(tmp_path):
    killed = subprocess.run(
        [sys.executable, "-c", _KILLED, str(tmp_path)], check=False, cwd=Path(__file__).parent, capture_output=True
    )
    assert killed.returncode == 9, killed.stderr.decode()
    left = {path.name for path in tmp_path.iterdir()}
    assert left > {"1", HISTORY}
    assert len(left) == 3
    restored = _restored(tmp_path)
    assert restored.epoch == 1
    # A reader leaves alone what may be another process's; who writes removes it.
    assert {path.name for path in tmp_path.iterdir()} == left
    checkpoints = Checkpoints(tmp_path, _state(0), keep=2)
    checkpoints.resume_from(restored)
    checkpoints.save(2, _state(3), _history(0.5, 0.7)[1:])
    checkpoints.close()
    assert {path.name for path in tmp_path.iterdir()} == {"1", "2", HISTORY}
    restored = _restored(tmp_path)
    assert restored.history == _history(0.5, 0.7)
    _assert_equal(restored.state, _state(3))


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ('NOT_FOUND: Error opening "zarr" driver', "NOT_FOUND"),
        ("INTERNAL: Error writing: a: No space left on device [os_error_code='28']", "No space left on device"),
    ],
)
def test_an_error_of_tensorstore_is_one_line(tmp_path, monkeypatch, message, reason):
    def fail() -> None:
        raise ValueError(message)

    checkpoints = Checkpoints(tmp_path, _state(0), keep=1)
    with monkeypatch.context() as patched:
        patched.setattr(checkpoints._manager, "wait_until_finished", fail)
        with pytest.raises(WorkdirError, match=rf"cannot be written to .* \({reason}\)"):
            checkpoints.close()
    checkpoints.close()


def test_only_second_failures_of_orbaxs_reads_are_silenced(caplog):
    silence_cancelled_tasks()
    log = logging.getLogger("asyncio")
    log.error("Task exception was never retrieved\nfuture: ValueError('OUT_OF_RANGE: Error opening \"zarr\" driver')")
    log.error("Task exception was never retrieved\nfuture: ValueError('another')")
    assert [record.getMessage()[-10:] for record in caplog.records] == ["'another')"]
