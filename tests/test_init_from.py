from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toy
from flax import nnx
from test_loop import _train_one_epoch_only, _untimed

from fmnist_jax import data, load_weights, make_run, member_of, models, optim
from fmnist_jax.compare.config import study_config
from fmnist_jax.compare.runner import compare
from fmnist_jax.errors import ConfigError, UserError, WorkdirError
from fmnist_jax.runtime import devices
from fmnist_jax.train.checkpoints import Checkpoints
from fmnist_jax.train.evaluation import load_trained
from fmnist_jax.train.init_from import initial_weights
from fmnist_jax.train.loop import train
from fmnist_jax.train.sharded import DataParallelRun


@models.register("toy-variant", "toy with a hidden layer more")
class Variant(nnx.Module):
    def __init__(self, *, rngs: nnx.Rngs):
        self.hidden = nnx.Linear(49, 12, rngs=rngs)
        self.extra = nnx.Linear(12, 7, rngs=rngs)
        self.logits = nnx.Linear(7, 10, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        x = nnx.relu(self.hidden(x[:, ::4, ::4].reshape(x.shape[0], -1)))
        return self.logits(nnx.relu(self.extra(x)))


AVERAGED = {"model__name": "toy-batchnorm", "train__ema_decay": 0.5, "train__statistics_batches": 2}
SCHEDULE_FREE = {
    "model__name": "linear",
    "optimizer__name": "schedule-free-adamw",
    "optimizer__weight_decay": 0.1,
    "optimizer__clip_norm": 1.0,
    "schedule__name": "cosine",
    "schedule__weight_decay": "linear",
}


@pytest.fixture(scope="module")
def configured(toy_data, finished):
    """Makes the config of a run that starts from `finished`, or from another one."""

    def make(**changes: Any):
        given = {"data__val_examples": 11, "train__score_test": True, "init_from": str(finished)}
        return toy.toy_config(toy_data, **given | changes)

    return make


@pytest.fixture(scope="module")
def started(configured, tmp_path_factory) -> Path:
    """The workdir of a finished run that started from the best checkpoint of `finished`."""
    workdir = tmp_path_factory.mktemp("started")
    config = configured()
    config.init_from += ":best"
    train(config, workdir)
    return workdir


def _manifest(workdir: Path) -> dict:
    return json.loads((workdir / "manifest.json").read_text())


@pytest.mark.parametrize("changes", [AVERAGED, SCHEDULE_FREE], ids=["averaged", "schedule-free"])
def test_what_is_loaded_is_what_the_other_run_was_evaluated_with(changes, configured, tmp_path):
    config = configured(init_from="", **changes)
    train(config, tmp_path)
    checkpoint, weights = load_trained(tmp_path).checkpoint, load_weights(str(tmp_path))
    dataset = data.load(config.data)
    run = DataParallelRun(config, len(dataset.train), devices.for_training(config), weights=weights)
    state, val = run.programs.init()(run.member), run.put_split(dataset.val)
    assert state.step == 0
    scores = run.programs.evaluate(val)(state, val).means()
    assert scores["loss"] == pytest.approx(checkpoint.history[-1]["val_loss"], rel=1e-6)
    # Those of the trained parameters are others.
    assert (np.asarray(checkpoint.state.params["logits"]["kernel"]) != weights["params.logits.kernel"]).any()


def test_the_rest_of_the_state_is_that_of_a_new_run(configured, finished):
    config = configured(seed=5, train__ema_decay=0.9)
    weights, member = load_weights(str(finished)), member_of(config)
    state, fresh = (jax.jit(make_run(config, 39, weights=each).init)(member) for each in (weights, None))
    assert jax.tree.all(jax.tree.map(lambda a, b: (a == b).all(), state.opt_state, fresh.opt_state))
    assert state.step == 0
    assert (state.rng == fresh.rng).all()
    for params in (state.params, state.ema):
        assert (params["logits"]["kernel"] == weights["params.logits.kernel"]).all()


def test_what_does_not_fit_is_initialised_from_the_seed_and_members_differ_in_it_alone(configured, finished):
    config = configured(model__name="toy-variant")
    weights, member = load_weights(str(finished)), member_of(config)
    run, other = make_run(config, 39, weights=weights), make_run(config, 39)
    members = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), member)._replace(seed=jnp.array([0, 1], jnp.uint32))
    first, second = (jax.tree.map(lambda leaf, i=i: leaf[i], jax.jit(jax.vmap(run.init))(members)) for i in (0, 1))
    fresh = jax.jit(other.init)(member)
    for name in ("extra", "logits"):
        assert (first.params[name]["kernel"] == fresh.params[name]["kernel"]).all()
        assert (first.params[name]["kernel"] != second.params[name]["kernel"]).any()
    for state in (first, second):
        assert (state.params["hidden"]["kernel"] == weights["params.hidden.kernel"]).all()


def test_a_resumed_run_is_the_uninterrupted_one_without_the_other_run(configured, finished, tmp_path, capsys):
    source = shutil.copytree(finished, tmp_path / "source")
    config = configured(model__name="toy-variant", init_from=f"{source}:1")
    train(config, tmp_path / "whole")
    line = (
        f"toy-variant from {source}:1: 3 of 6 arrays loaded; re-initialised: params.logits.kernel [12, 10] -> [7, 10]; "
        "only in this network: params.extra.bias, params.extra.kernel\n"
    )
    assert line in capsys.readouterr().out
    names = ["params.logits.kernel [12, 10] -> [7, 10]", "params.extra.bias", "params.extra.kernel"]
    networks = _manifest(tmp_path / "whole")["init_from"]["networks"]
    assert networks == {"toy-variant": {"loaded": 3, "re-initialised": names}}

    _train_one_epoch_only(config, tmp_path / "parts")
    shutil.copytree(tmp_path / "parts", tmp_path / "restarted")
    shutil.rmtree(tmp_path / "restarted" / "checkpoints")  # as killed before the first checkpoint
    shutil.rmtree(source)
    whole = load_trained(tmp_path / "whole").checkpoint
    for name in ("parts", "restarted"):
        capsys.readouterr()
        train(config, tmp_path / name)
        assert (line in capsys.readouterr().out) == (name == "restarted")
        again = load_trained(tmp_path / name).checkpoint
        for left, right in zip(jax.tree.leaves(whole.state), jax.tree.leaves(again.state), strict=True):
            assert np.asarray(left).tobytes() == np.asarray(right).tobytes()
        assert list(map(_untimed, again.history)) == list(map(_untimed, whole.history))


def test_the_manifest_says_what_was_loaded(started, finished):
    content = (started / "initial_weights.npz").read_bytes()
    best = load_trained(finished, "best").checkpoint
    assert _manifest(started)["init_from"] == {
        "workdir": str(finished),
        "checkpoint": "best",
        "epoch": best.epoch,
        "sha256": hashlib.sha256(content).hexdigest(),
        "networks": {"toy": {"loaded": 4}},
    }
    with np.load(started / "initial_weights.npz") as file:
        assert (file["params.hidden.kernel"] == np.asarray(best.state.params["hidden"]["kernel"])).all()


def test_a_run_of_its_own_has_nothing_of_it(finished):
    assert "init_from" not in _manifest(finished)
    assert not (finished / "initial_weights.npz").exists()


def _without_checkpoints(run: Path) -> None:
    shutil.rmtree(run / "checkpoints")


def _without_validation_split(run: Path) -> None:
    text = (run / "config.json").read_text()
    (run / "config.json").write_text(text.replace('"val_examples": 11', '"val_examples": 0'))


def _with_a_diverged_checkpoint(run: Path) -> None:
    checkpoint = load_trained(run).checkpoint
    params = jax.tree.map(lambda leaf: leaf * jnp.nan, checkpoint.state.params)
    checkpoints = Checkpoints(run / "checkpoints", checkpoint.state, keep=3)
    checkpoints.resume_from(checkpoint)
    checkpoints.save(3, checkpoint.state._replace(params=params), [{"epoch": 3, "val_accuracy": 0.1}])
    checkpoints.close()


@pytest.mark.parametrize(
    ("change", "given", "message"),
    [
        (shutil.rmtree, "{run}", r"config\.init_from: .*/source holds no run \(no config\.json\)"),
        (shutil.rmtree, "{run}:best", r"config\.init_from: .*/source holds no run \(no config\.json\)"),
        (None, "{run}:7", r"the checkpoint of config\.init_from must be best, last or an epoch of 1, 2, not '7'"),
        (None, "{run}:newest", r"the checkpoint of config\.init_from must be best, .*, not 'newest'"),
        (None, "{run}:", r"the checkpoint of config\.init_from must be best, .*, not ''"),
        (_without_checkpoints, "{run}", r"config\.init_from: .* has no checkpoint yet"),
        (_without_validation_split, "{run}:best", r"the checkpoint of config\.init_from: best needs a validation spl"),
        (_with_a_diverged_checkpoint, "{run}", r"config\.init_from: the weights of .* after epoch 3 are not finite"),
    ],
)
def test_what_cannot_be_loaded_is_refused_before_anything_is_written(
    change, given, message, configured, finished, tmp_path
):
    source = shutil.copytree(finished, tmp_path / "source")
    if change:
        change(source)
    with pytest.raises(UserError, match=message):
        train(configured(init_from=given.format(run=source)), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_network_without_anything_in_common_is_refused(configured, tmp_path):
    names = "params.hidden.bias, params.hidden.kernel, params.logits.bias, params.logits.kernel"
    with pytest.raises(ConfigError, match=rf"none of the parameters there fits .*; only there: {names}\)"):
        train(configured(model__name="witness", train__batch_size=8), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("change", ["damaged", "other", "lost"])
def test_other_weights_than_the_runs_own_are_refused(change, started, finished, configured, tmp_path):
    run, source = shutil.copytree(started, tmp_path / "run"), shutil.copytree(finished, tmp_path / "source")
    file = run / "initial_weights.npz"
    config = configured(init_from=f"{finished}:best")
    if change == "damaged":
        file.write_bytes(file.read_bytes()[:-50])
    elif change == "other":
        with np.load(file) as arrays:
            np.savez(file, **{name: array + 1 for name, array in arrays.items()})
    else:
        file.unlink()
        other = _manifest(started)["init_from"]["epoch"] % 2 + 1
        config.init_from = f"{source}:{other}"
        text = (run / "config.json").read_text()
        (run / "config.json").write_text(text.replace(f"{finished}:best", config.init_from))
    with pytest.raises(WorkdirError, match=r"initial_weights\.npz .*; restore it or take another"):
        train(config, run)


@pytest.mark.parametrize("change", ["another checkpoint", "none", "some"])
def test_other_weights_to_start_from_are_another_config(change, started, finished, configured):
    config = configured(init_from="") if change == "none" else configured()
    with pytest.raises(WorkdirError, match=r"another config \(config\.init_from: '.*', not '.*'\)"):
        train(config, finished if change == "some" else started)


PLUGIN = """
import jax
import optax
from fmnist_jax import Hyperparameter, Optimizer, register_optimizer

def rule(rate, weight_decay):
    return optax.sgd(rate)

def doubled(state, params):
    return jax.tree.map(lambda leaf: 2 * leaf, params)

space = {"learning_rate": Hyperparameter(1e-3, low=1e-5, high=1e-1)}
register_optimizer("doubling", Optimizer(rule, space, "evaluates twice its parameters", doubled))
"""


def test_the_optimizer_of_the_other_run_may_be_registered_in_its_config_file(toy_data, tmp_path, monkeypatch):
    monkeypatch.setattr(optim.OPTIMIZERS, "entries", dict(optim.OPTIMIZERS.entries))
    file = tmp_path / "mine.py"
    file.write_text(PLUGIN)
    exec(PLUGIN, {})
    config = toy.toy_config(toy_data, optimizer__name="doubling", model__name="linear", train__epochs=1)
    train(config, tmp_path / "source", file)
    kernel = np.asarray(load_trained(tmp_path / "source").checkpoint.state.params["logits"]["kernel"])
    del optim.OPTIMIZERS.entries["doubling"]
    assert (load_weights(str(tmp_path / "source"))["params.logits.kernel"] == 2 * kernel).all()
    del optim.OPTIMIZERS.entries["doubling"]
    file.unlink()
    with pytest.raises(ConfigError, match=r"config\.init_from: .*not 'doubling'; register it in this run's config"):
        load_weights(str(tmp_path / "source"))


def test_a_study_starts_all_its_runs_from_the_weights_and_resumes_without_the_other_run(
    started, finished, configured, tmp_path
):
    source = shutil.copytree(finished, tmp_path / "source")
    run, config = configured(), study_config()
    config.data, config.train.batch_size, config.train.eval_batch_size = run.data, toy.BATCH, toy.EVAL_BATCH
    config.init_from = f"{source}:best"
    config.study.update(optimizers=("rmsprop",), models=("toy",), epochs=(2,), seeds=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fmnist_jax.compare.runner._Study.train", lambda *arguments: None)
        compare(config, tmp_path / "study")
    shutil.rmtree(source)
    assert compare(config, tmp_path / "study") == {"runs": 2, "diverged": 0}
    record, alone = (_manifest(workdir)["init_from"] for workdir in (tmp_path / "study", started))
    assert record == alone | {"workdir": str(source)}
    lines = [json.loads(line) for line in (tmp_path / "study" / "results.jsonl").read_text().splitlines()]
    expected = [json.loads(line) for line in (started / "metrics.jsonl").read_text().splitlines()]
    for line, record in zip(lines[:2], expected, strict=True):
        assert line["val_loss"] == pytest.approx(record["val_loss"], rel=1e-5)
        assert line["train_loss"] == pytest.approx(record["train_loss"], rel=1e-5)


def test_weights_that_a_killed_process_left_in_an_unused_folder_are_ignored(configured, finished, tmp_path):
    (tmp_path / "initial_weights.npz").write_bytes(b"of another run")
    assert initial_weights(configured(), tmp_path, None).record["workdir"] == str(finished)
