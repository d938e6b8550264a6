from __future__ import annotations

import itertools
import re
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import toy
from flax import nnx

from fmnist_jax import models, optim
from fmnist_jax.data import Description, Split, device
from fmnist_jax.errors import ConfigError
from fmnist_jax.train import batches
from fmnist_jax.train.network import Member
from fmnist_jax.train.run import make_run, member_of

TRAIN, TEST = toy.split(toy.TRAIN), toy.split(toy.TEST, seed=1)


class _Started:
    """A run at its beginning. Compiled as the host loop does it, so that both are compiled once."""

    def __init__(self, train: Split = TRAIN, **changes):
        config = toy.toy_config(**changes)
        self.train = device.put(train)
        self.run, self.member = make_run(config, len(train)), member_of(config)
        self.state = jax.jit(self.run.init)(self.member)
        self._epoch = jax.jit(self.run.epoch, donate_argnums=0)

    def epoch(self):
        """Trains an epoch; returns its counts."""
        self.state, counts = self._epoch(self.state, self.member, self.train)
        return jax.device_get(counts)

    def predict(self, state=None, images=TEST.images) -> np.ndarray:
        return np.asarray(jax.jit(self.run.predict)(state or self.state, jnp.asarray(images)))

    def evaluate(self, split: Split = TEST):
        return jax.device_get(jax.jit(self.run.evaluate)(self.state, device.put(split)))


def _host(tree):
    return jax.tree.map(lambda leaf: np.array(leaf, copy=True), tree)


def _equal(a, b) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True))


@pytest.mark.parametrize(("examples", "batch"), [(1, 1), (16, 16), (50, 16), (31, 7)])
def test_batches_hold_each_example_once_and_pad_with_real_ones(examples, batch):
    for rows, valid in (
        batches.shuffled(jax.random.key(0), examples, batch),
        batches.in_order(examples, batch),
    ):
        assert rows.shape == valid.shape == (batches.num_batches(examples, batch), batch)
        assert sorted(rows[valid].tolist()) == list(range(examples))
        assert valid.sum() == examples
        assert ((rows >= 0) & (rows < examples)).all()
    assert rows[valid].tolist() == list(range(examples))


def test_the_first_epochs_may_be_on_images_of_half_the_size():
    images = toy.split(16)
    images.images[:, :2, :2] = np.arange(16)[:, None, None] + np.array([[0, 100], [50, 50]], np.uint8)
    started = _Started(images, model__name="witness", train__batch_size=8, train__half_size_epochs=1)
    for _ in range(2):
        started.epoch()
    first, second = np.asarray(started.state.model_state["pixels"])[:4].reshape(2, 16)
    assert sorted(first.tolist()) == list(range(50, 66))  # the mean of four pixels
    assert sorted(second.tolist()) == list(range(16))


@pytest.mark.parametrize(
    ("model", "shape", "message"),
    [
        ("toy", (28, 28, 1), r"'toy' works on images of one size only; set config\.train\.half_size_epochs to 0"),
        ("witness", (28, 27, 1), r"config\.train\.half_size_epochs must be 0 for images of 28x27 pixels"),
    ],
)
def test_half_size_epochs_where_they_cannot_be(model, shape, message):
    config = toy.toy_config(model__name=model, train__batch_size=8, train__half_size_epochs=1)
    with pytest.raises(ConfigError, match=message):
        make_run(config, toy.TRAIN, Description("other", tuple("abcdefghij"), shape))


@pytest.mark.smoke
def test_an_epoch_counts_each_example_once():
    started = _Started()
    counts = started.epoch()
    assert counts.examples == counts.confusion.sum() == toy.TRAIN
    assert counts.confusion.sum(axis=1).tolist() == np.bincount(TRAIN.labels).tolist()
    assert counts.correct == np.trace(counts.confusion)
    assert started.state.step == started.run.steps_per_epoch == toy.STEPS


def _witnessed(seed: int) -> dict[str, np.ndarray]:
    """What the network saw over two epochs of 20 images in batches of 8."""
    started = _Started(toy.split(20), model__name="witness", train__batch_size=8, seed=seed)
    for _ in range(2):
        started.epoch()
    return {name: np.asarray(seen) for name, seen in started.state.model_state.items() if name != "dropout"}


def test_the_network_sees_each_image_once_an_epoch_in_an_order_of_its_own():
    seen, other = _witnessed(0), _witnessed(1)
    orders = [seen["pixels"][:3].ravel()[:20], seen["pixels"][3:6].ravel()[:20], other["pixels"][:3].ravel()[:20]]
    for order in orders:
        assert sorted(order) == list(range(20))
    for a, b in itertools.combinations(orders, 2):
        assert (a != b).any()


def test_dropout_differs_between_steps_and_seeds():
    masks = [tuple(mask) for seed in (0, 1) for mask in _witnessed(seed)["kept"][:6]]
    assert set(np.ravel(masks)) == {0.0, 2.0}
    # Two of twelve masks of eight units may be the same by chance.
    assert len(set(masks)) >= 10


def test_padding_has_no_influence(monkeypatch):
    def trained(padding: int):
        def in_order(key, examples, size):
            rows, valid = batches.in_order(examples, size)
            return jnp.where(valid, rows, padding), valid

        monkeypatch.setattr(batches, "shuffled", in_order)
        started = _Started(model__name="linear")
        return started.epoch(), _host(started.state)

    assert _equal(trained(padding=0), trained(padding=37))


@pytest.mark.parametrize("eval_batch", [toy.EVAL_BATCH, 500])
def test_every_example_is_scored(eval_batch):
    started = _Started(train__eval_batch_size=eval_batch)
    counts, probabilities = started.evaluate(), started.predict()
    expected = np.zeros((10, 10), int)
    np.add.at(expected, (TEST.labels, probabilities.argmax(axis=1)), 1)
    assert counts.examples == toy.TEST
    assert (counts.confusion == expected).all()
    means = counts.means()
    assert means["accuracy"] == np.mean(probabilities.argmax(axis=1) == TEST.labels)
    np.testing.assert_allclose(means["loss"], -np.log(probabilities[np.arange(toy.TEST), TEST.labels]).mean(), 1e-6)


def test_predictions_are_a_softmax_in_the_order_of_the_images():
    started = _Started()
    probabilities = started.predict()
    w = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), started.state.params)
    x = TEST.images[:, ::4, ::4].reshape(toy.TEST, -1) / 255.0
    hidden = np.maximum(x @ w["hidden"]["kernel"] + w["hidden"]["bias"], 0)
    exponential = np.exp(hidden @ w["logits"]["kernel"] + w["logits"]["bias"])
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities, exponential / exponential.sum(axis=1, keepdims=True), rtol=1e-5)


@pytest.mark.smoke
def test_the_seed_decides_everything():
    first, again, other = _Started(), _Started(), _Started(seed=1)
    assert not np.array_equal(first.state.params["hidden"]["kernel"], other.state.params["hidden"]["kernel"])
    assert not np.array_equal(first.state.rng, other.state.rng)
    assert _equal(first.epoch(), again.epoch())
    assert _equal(first.state, again.state)


def test_it_learns():
    started = _Started(model__name="linear", optimizer__learning_rate=0.02)
    for _ in range(20):
        counts = started.epoch()
    assert counts.means()["accuracy"] > 0.9
    assert started.evaluate().means()["accuracy"] > 0.7


def test_bfloat16_computes_coarsely_but_keeps_float32_state():
    coarse, fine = _Started(model__name="linear", precision="bfloat16"), _Started(model__name="linear")
    before = _host(coarse.state.params)
    a, b = coarse.epoch().means()["loss"], fine.epoch().means()["loss"]
    assert a != b
    assert a == pytest.approx(b, rel=0.02)
    kept = jax.tree.leaves((coarse.state.params, coarse.state.opt_state))
    assert {str(leaf.dtype) for leaf in kept} == {"float32", "int32"}
    assert not _equal(before, coarse.state.params)


def test_the_moving_average_is_what_a_hand_computes_and_what_is_evaluated():
    started = _Started(toy.split(toy.BATCH), model__name="linear", train__ema_decay=0.28)
    average = _host(started.state.params)
    for step in (1, 2, 3):
        started.epoch()
        # At first less than 0.28: 2/11, 3/12, then 4/13 is more.
        decay = min(0.28, (1 + step) / (10 + step))
        average = jax.tree.map(lambda a, w, d=decay: d * a + (1 - d) * np.asarray(w), average, started.state.params)
    for ours, expected in zip(jax.tree.leaves(started.state.ema), jax.tree.leaves(average), strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-6, atol=1e-8)
    as_trained = started.state._replace(ema=None)
    as_averaged = as_trained._replace(params=started.state.ema)
    assert _equal(started.predict(), started.predict(as_averaged))
    assert not _equal(started.predict(), started.predict(as_trained))


def test_a_schedule_free_run_is_evaluated_at_its_average():
    started = _Started(model__name="linear", optimizer__name="schedule-free-adamw")
    plain = _Started(model__name="linear")
    started.epoch()
    average = optim.eval_params("schedule-free-adamw", started.state.opt_state, started.state.params)
    at_average, at_trained = (plain.predict(plain.state._replace(params=p)) for p in (average, started.state.params))
    np.testing.assert_allclose(started.predict(), at_average, rtol=1e-5)
    assert not np.allclose(at_average, at_trained, rtol=1e-3)


def test_batch_statistics_are_carried_along_and_used():
    split = toy.split(toy.BATCH)
    started = _Started(split, model__name="toy-batchnorm")
    x = split.images[:, ::4, ::4].reshape(toy.BATCH, -1) / 255.0
    mean, variance = np.zeros(49), np.ones(49)
    for _ in range(2):
        started.epoch()
        mean, variance = 0.5 * mean + 0.5 * x.mean(axis=0), 0.5 * variance + 0.5 * x.var(axis=0)
    statistics = started.state.model_state["norm"]
    np.testing.assert_allclose(statistics["mean"], mean, rtol=1e-5)
    np.testing.assert_allclose(statistics["var"], variance, rtol=1e-4)
    w = jax.tree.map(np.asarray, started.state.params)
    normal = (x - mean) / np.sqrt(variance + 1e-5) * w["norm"]["scale"] + w["norm"]["bias"]
    exponential = np.exp(normal @ w["logits"]["kernel"] + w["logits"]["bias"])
    expected = exponential / exponential.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(started.predict(images=split.images), expected, rtol=1e-3)


def test_an_epoch_does_not_touch_the_host():
    started = _Started()
    lowered = jax.jit(started.run.epoch, donate_argnums=0).lower(started.state, started.member, started.train)
    assert "callback" not in lowered.as_text()
    epoch = lowered.compile()
    with jax.transfer_guard("disallow"):
        jax.block_until_ready(epoch(started.state, started.member, started.train))


def test_what_would_touch_the_host_is_caught():
    started = _Started()

    def talkative(state, member, train):
        jax.debug.callback(lambda step: None, state.step)
        return started.run.epoch(state, member, train)

    assert "callback" in jax.jit(talkative).lower(started.state, started.member, started.train).as_text()
    evaluate = jax.jit(started.run.evaluate).lower(started.state, started.train).compile()
    disallowed = pytest.raises(jax.errors.JaxRuntimeError, match="Disallowed host-to-device transfer")
    with jax.transfer_guard("disallow"), disallowed:
        evaluate(started.state, _host(started.train))


class _Asked(NamedTuple):
    """What an optimizer is told of a step beside the gradient, and how far that is from what it finds out itself."""

    value: jax.Array
    differences: jax.Array


def test_an_optimizer_gets_the_loss_of_the_batch_and_the_function_that_it_is(monkeypatch):
    monkeypatch.setattr(optim.OPTIMIZERS, "entries", dict(optim.OPTIMIZERS.entries))

    def make(rate, weight_decay):
        def update(gradients, state, params=None, *, value, grad, value_fn):
            found, slopes = jax.value_and_grad(value_fn)(params)
            trees = (value, grad, slopes), (found, gradients, gradients)
            pairs = zip(*map(jax.tree.leaves, trees), strict=True)
            differences = jnp.stack([jnp.abs(a - b).max() for a, b in pairs])
            return gradients, _Asked(value, jnp.maximum(state.differences, differences.max()))

        return optax.GradientTransformationExtraArgs(lambda params: _Asked(jnp.zeros(()), jnp.zeros(())), update)

    optim.register("asking", optim.Optimizer(make, {"learning_rate": optim.Hyperparameter(1.0, 1.0, 1.0)}, "asks"))
    started = _Started(optimizer__name="asking", train__batch_size=toy.TRAIN)
    counts = started.epoch()
    assert started.state.opt_state.value == pytest.approx(counts.means()["loss"], rel=1e-6)
    assert started.state.opt_state.differences < 1e-6, "dropout keeps the same units when the loss is evaluated again"


def _population(model: str, optimizer: str) -> list[Member]:
    member = member_of(toy.toy_config(model__name=model, optimizer__name=optimizer))
    rates = [factor * member.hyperparameters["learning_rate"] for factor in (1.0, 0.5)]
    return [
        Member(jnp.uint32(seed), member.hyperparameters | {"learning_rate": rate})
        for seed, rate in zip((3, 4), rates, strict=True)
    ]


@pytest.mark.parametrize(("model", "optimizer"), [("toy", "rmsprop"), *(("linear", name) for name in optim.names())])
def test_members_of_a_population_are_the_runs_alone(model, optimizer):
    alone, members = _Started(model__name=model, optimizer__name=optimizer), _population(model, optimizer)
    run, train = alone.run, alone.train

    @jax.jit
    @jax.vmap
    def trained(member):
        return run.epoch(run.init(member), member, train)

    states, counts = trained(jax.tree.map(lambda *leaves: jnp.stack(leaves), *members))
    for i, member in enumerate(members):
        alone.state, alone.member = jax.jit(run.init)(member), member
        np.testing.assert_allclose(counts.loss[i], alone.epoch().loss, rtol=1e-5)
        for a, b in zip(jax.tree.leaves(states.params), jax.tree.leaves(alone.state.params), strict=True):
            # A hundredth of a step of the smallest rate: rounding, magnified by division through small gradients.
            np.testing.assert_allclose(a[i], b, rtol=1e-5, atol=1e-6)


def test_the_learning_rate_is_the_peak_times_the_schedule():
    started = _Started(schedule__name="linear", optimizer__learning_rate=0.5)
    rates = [float(started.run.learning_rate(started.member, jnp.int32(step))) for step in (0, 4, 8)]
    assert rates == [0.5, 0.25, 0.0]
    assert started.run.total_steps == 2 * toy.STEPS


@pytest.mark.parametrize(
    ("key", "value", "suggestion"),
    [
        ("model__name", "tou", "did you mean 'toy'"),
        ("optimizer__name", "rmspropp", "did you mean 'rmsprop'"),
        ("schedule__name", "cosin", "did you mean 'cosine'"),
        ("schedule__warmup", "3 epochs", "longer than the run"),
    ],
)
def test_what_does_not_exist_or_fit_is_refused_by_name(key, value, suggestion):
    with pytest.raises(ConfigError, match=f"config.{key.replace('__', '.')}.*{suggestion}"):
        make_run(toy.toy_config(**{key: value}), toy.TRAIN)


def test_a_network_whose_logits_are_not_one_for_each_class_is_refused():
    three = Description("three", ("a", "b", "c"), (28, 28, 1))
    with pytest.raises(ConfigError, match=re.escape("maps images [16, 28, 28, 1] to [16, 10], not to logits [16, 3]")):
        make_run(toy.toy_config(), toy.TRAIN, three)


def test_data_may_have_any_shape_and_number_of_classes():
    @models.register("colour", "dense 3")
    class Colour(nnx.Module):
        def __init__(self, *, compute, rngs):
            self.logits = nnx.Linear(5 * 4 * 3, 3, rngs=rngs)

        def __call__(self, x, *, train=False, rngs=None):
            return self.logits(x.reshape(x.shape[0], -1))

    rng, config = np.random.default_rng(0), toy.toy_config(model__name="colour")
    split = device.put(Split(rng.integers(0, 256, (30, 5, 4, 3), np.uint8), np.arange(30, dtype=np.uint8) % 3))
    run, member = make_run(config, 30, Description("three", ("a", "b", "c"), (5, 4, 3))), member_of(config)
    state, sums = jax.jit(run.epoch)(jax.jit(run.init)(member), member, split)
    assert sums.confusion.sum(axis=1).tolist() == [10, 10, 10]
    assert jax.jit(run.predict)(state, split.images).shape == (30, 3)
