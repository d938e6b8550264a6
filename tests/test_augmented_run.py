"""Augmentation in training, where it has to be the run's own: resumed, in a population, and never in evaluation."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toy
from test_loop import _metrics, _train_one_epoch_only, _untimed

from fmnist_jax.data import Split, device
from fmnist_jax.errors import ConfigError
from fmnist_jax.report import write_run_report
from fmnist_jax.train.evaluation import load_trained
from fmnist_jax.train.loop import train
from fmnist_jax.train.network import Member
from fmnist_jax.train.run import make_run, member_of

EVERYTHING = {"flip": "alternating", "translate": 2, "cutmix": 1.0}
TRAIN, TEST = toy.split(toy.TRAIN), toy.split(toy.TEST, seed=1)


def _config(data=None, augmentation=EVERYTHING, **changes):
    keys = {f"augment__{key}": value for key, value in augmentation.items()}
    return toy.toy_config(data, **{"model__name": "linear"} | keys | changes)


def _trained(config, split: Split, epochs: int):
    run, member, train_split = make_run(config, len(split)), member_of(config), device.put(split)
    state, epoch, sums = run.init(member), jax.jit(run.epoch), []
    for _ in range(epochs):
        state, counts = epoch(state, member, train_split)
        sums.append(jax.device_get(counts))
    return state, sums


def test_each_image_is_flipped_every_other_epoch():
    numbered = toy.split(20)
    numbered.images[:, 0, -1] = 100 + np.arange(20)
    config = _config(None, {"flip": "alternating"}, model__name="witness", train__batch_size=8)
    state, _ = _trained(config, numbered, 3)
    seen = np.asarray(state.model_state["pixels"])[:9].reshape(3, 24)[:, :20]  # the upper left pixels of three epochs
    first, then, third = map(set, seen.tolist())
    both_sides = set(range(20)) | set(range(100, 120))
    assert first | then == both_sides
    assert first & then == set()
    assert first == third


def test_mixed_images_are_trained_on_soft_targets():
    config = _config(None, {"mixup": 1.0}, optimizer__learning_rate=0.02)
    _, sums = _trained(config, TRAIN, 12)
    assert [counts.examples for counts in sums] == [toy.TRAIN] * 12
    assert sums[-1].loss < 0.95 * sums[0].loss
    # Accuracy counts an image's own label, which the partner outweighs in half of them.
    assert sums[-1].means()["accuracy"] < 0.9


def test_scores_and_predictions_are_those_without_augmentation():
    plain, augmented = (make_run(config, toy.TRAIN) for config in (_config(None, {}), _config()))
    state, test = plain.init(member_of(_config())), device.put(TEST)
    for name, arguments in (("evaluate", test), ("predict", test.images)):
        found, expected = (jax.jit(getattr(run, name))(state, arguments) for run in (augmented, plain))
        for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
            np.testing.assert_array_equal(a, b)


def test_a_resumed_run_sees_the_same_images(tmp_path, toy_data):
    config, whole, parts = _config(toy_data), tmp_path / "whole", tmp_path / "parts"
    train(config, whole)
    _train_one_epoch_only(config, parts)
    train(config, parts)
    assert [_untimed(r) for r in _metrics(parts)] == [_untimed(r) for r in _metrics(whole)]
    a, b = (jax.tree.leaves(load_trained(workdir).checkpoint.state) for workdir in (whole, parts))
    assert [np.asarray(leaf).tobytes() for leaf in a] == [np.asarray(leaf).tobytes() for leaf in b]
    assert (whole / "augmented.npz").read_bytes() == (parts / "augmented.npz").read_bytes()
    with np.load(whole / "augmented.npz") as file:
        assert file["labels"].tolist() == list(range(6))
        assert file["originals"].shape == (6, 28, 28)
        assert file["augmented"].shape == (6, 2, 28, 28)
        assert (file["augmented"][:, 0] != file["augmented"][:, 1]).any(axis=(1, 2)).all()
    assert "## Augmentation" in write_run_report(whole).with_suffix(".md").read_text()


def test_a_member_of_a_population_is_the_run_alone():
    run, split = make_run(_config(), toy.TRAIN), device.put(TRAIN)
    members = [Member(jnp.uint32(seed), member_of(_config()).hyperparameters) for seed in (3, 4)]

    def trained(member):
        return run.epoch(run.init(member), member, split)

    alone, together = (jax.jit(each) for each in (trained, jax.vmap(trained)))
    states, sums = together(jax.tree.map(lambda *leaves: jnp.stack(leaves), *members))
    for i, member in enumerate(members):
        state, counts = alone(member)
        np.testing.assert_allclose(sums.loss[i], counts.loss, rtol=1e-5)
        for a, b in zip(jax.tree.leaves(states.params), jax.tree.leaves(state.params), strict=True):
            np.testing.assert_allclose(a[i], b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("augmentation", "message"),
    [({"custom": ("nosuch",)}, r"config\.augment\.custom .*nosuch"), ({"translate": 28}, "must be at most 27")],
)
def test_what_does_not_fit_is_refused_before_anything_is_written(tmp_path, toy_data, augmentation, message):
    with pytest.raises(ConfigError, match=message):
        train(_config(toy_data, augmentation), tmp_path / "run")
    assert not (tmp_path / "run").exists()
