"""A batch sharded over devices is the batch on one; `test_batch_sharding.py` runs this in a process with four."""

from __future__ import annotations

import functools
import json
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toy
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from test_loop import _metrics, _train_one_epoch_only, _untimed
from test_population import DATASET

from fmnist_jax import ops
from fmnist_jax.data import augment, device
from fmnist_jax.errors import ConfigError
from fmnist_jax.runtime import batch_sharding, devices
from fmnist_jax.train.evaluation import evaluate, load_trained
from fmnist_jax.train.loop import train
from fmnist_jax.train.population import Population
from fmnist_jax.train.sharded import DataParallelRun

TRAIN, TEST = toy.split(toy.TRAIN), toy.split(toy.TEST, seed=1)
NUMBERS = (2, 4)


def _on(number: int, function, *arguments):
    """What a compiled function returns on arrays that are on so many devices, and batches spread over them."""
    mesh = Mesh(np.asarray(jax.devices()[:number]), (batch_sharding.AXIS,), axis_types=(AxisType.Auto,))
    placed = jax.device_put(arguments, NamedSharding(mesh, PartitionSpec()))
    with jax.set_mesh(mesh):
        return jax.device_get(jax.jit(function)(*placed))


@pytest.fixture(autouse=True)
def small_batches(monkeypatch):
    """Toys are spread, too."""
    monkeypatch.setattr(devices, "MIN_IMAGES_PER_DEVICE", 1)


@pytest.fixture
def alone(monkeypatch):
    """Leaves one device to what follows."""
    return lambda: monkeypatch.setattr(jax, "local_devices", lambda: jax.devices()[:1])


def test_there_are_four():
    assert len(jax.devices()) == 4


def test_each_device_works_on_its_part():
    seen = []

    def doubled(x, y):
        seen.append((x.shape, y.shape, batch_sharding.num_shards()))
        return x + x * y

    x, y = np.arange(24.0).reshape(8, 3), np.arange(3.0)
    for number, whole in ((4, x), (2, x), (1, x), (4, x[:6])):
        found = _on(number, lambda x, y: batch_sharding.shard_map_batch(doubled, (x,), (y,)), whole, y)
        np.testing.assert_array_equal(found, whole + whole * y)
    assert seen == [((2, 3), (3,), 1), ((4, 3), (3,), 1), ((8, 3), (3,), 1), ((6, 3), (3,), 4)]


@pytest.mark.parametrize("features", [6, 96])
def test_a_dense_layer_and_its_gradients(features):
    keys = jax.random.split(jax.random.key(0), 3)
    x, kernel = jax.random.normal(keys[0], (8, 64)), jax.random.normal(keys[1], (64, features))
    weights = jax.random.normal(keys[2], (8, features))

    def loss(x, kernel):
        return (weights * ops.dot_general(batch_sharding.shard_batch(x), kernel, (((1,), (0,)), ((), ())))).sum()

    gradient = jax.value_and_grad(loss, argnums=(0, 1))
    expected = jax.tree.leaves(jax.jit(gradient)(x, kernel))
    for number in NUMBERS:
        found = jax.tree.leaves(_on(number, gradient, x, kernel))
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


def test_a_large_kernel_is_shared_out():
    """What a step of a large dense layer sends between devices is less than its kernel."""
    x, kernel = np.ones((8, 64), np.float32), np.ones((64, 96), np.float32)

    def step(kernel, x):
        def loss(kernel):
            return (ops.dot_general(batch_sharding.shard_batch(x), kernel, (((1,), (0,)), ((), ()))) ** 2).sum()

        return jax.lax.fori_loop(0, 3, lambda _, kernel: kernel - jax.grad(loss)(kernel), kernel).sum()

    mesh = Mesh(np.asarray(jax.devices()[:4]), (batch_sharding.AXIS,), axis_types=(AxisType.Auto,))
    with jax.set_mesh(mesh):
        program = jax.jit(step).lower(*jax.device_put((kernel, x), NamedSharding(mesh, PartitionSpec()))).compile()
    text = program.as_text()
    sent = [line for line in text.splitlines() if re.search(r" (all-reduce|all-gather)\(", line)]
    assert not any("[64,96]" in re.split(r" all-\w+\(", line)[0] for line in sent), sent
    assert "reduce-scatter(" in text


@pytest.mark.parametrize(
    ("pool", "algorithm"),
    [(True, "patches"), (False, "patches"), (True, "winograd"), (True, "fourier"), (False, "fourier")],
)
def test_a_convolution_and_its_gradients(pool, algorithm):
    operation = ops.conv_relu_pool if pool else ops.conv2d
    operation = functools.partial(operation, algorithm=algorithm, padding="SAME")
    keys = jax.random.split(jax.random.key(0), 4)
    x = jax.random.normal(keys[0], (8, 9, 10, 3))
    shared = (jax.random.normal(keys[1], (3, 3, 3, 5)), *([jax.random.normal(keys[2], (5,))] if pool else []))
    weights = jax.random.normal(keys[3], operation(x, *shared).shape)

    def loss(x, *shared):
        return (weights * batch_sharding.shard_map_batch(operation, (x,), shared)).sum()

    gradient = jax.value_and_grad(loss, argnums=tuple(range(1 + len(shared))))
    expected = jax.tree.leaves(jax.jit(gradient)(x, *shared))
    for number in NUMBERS:
        for found, wanted in zip(jax.tree.leaves(_on(number, gradient, x, *shared)), expected, strict=True):
            np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-4)


class _Started(DataParallelRun):
    """A run at its beginning, its batches spread over so many devices."""

    def __init__(self, number: int, **changes):
        super().__init__(toy.toy_config(**changes), toy.TRAIN, jax.devices()[:number])
        self.train, self.test = self.put_split(TRAIN), self.put_split(TEST)
        self.state = self.programs.init()(self.member)

    def epoch(self):
        self.state, counts = self.programs.epoch(self.train)(self.state, self.member, self.train)
        if estimate := self.programs.estimate_statistics(self.train):
            self.state = estimate(self.state, self.train)
        return jax.device_get(counts)

    def evaluate(self):
        return jax.device_get(self.programs.evaluate(self.test)(self.state, self.test))

    def predict(self):
        return np.asarray(self.programs.predict(self.test.images)(self.state, self.test.images))


def _check_counts(found, expected):
    np.testing.assert_allclose(found.loss, expected.loss, rtol=1e-5)
    assert (found.correct, found.examples) == (expected.correct, expected.examples)
    np.testing.assert_array_equal(found.confusion, expected.confusion)
    for name, sums in expected.metrics.items():
        np.testing.assert_allclose(found.metrics[name], sums, rtol=1e-4, atol=1e-5)


RUNS = [
    # By its plain gradient: others divide rounding by small numbers.
    pytest.param({"model__name": "model1", "optimizer__name": "sgd", "optimizer__learning_rate": 0.1}, id="model1"),
    pytest.param(
        {
            "train__ema_decay": 0.9,
            "optimizer__clip_norm": 0.5,
            "loss__label_smoothing": 0.1,
            "eval__metrics": ("top2", "nll", "brier", "ece"),
        },
        id="everything",
    ),
    pytest.param(
        {"model__name": "linear", "augment__flip": "random", "augment__cutmix": 1.0, "eval__tta": "flip+translate"},
        id="augmented",
    ),
    pytest.param({"model__name": "toy-batchnorm", "train__eval_batch_size": 500}, id="batchnorm"),
    pytest.param({"model__name": "toy-batchnorm", "train__ema_decay": 0.9}, id="estimated statistics"),
]


@pytest.mark.parametrize("changes", RUNS)
def test_a_run_is_that_on_one_device(changes):
    one = _Started(1, **changes)
    trained, scored, probabilities = one.epoch(), one.evaluate(), one.predict()
    assert trained.examples == toy.TRAIN
    several = _Started(4, **changes)
    _check_counts(several.epoch(), trained)
    for found, expected in zip(jax.tree.leaves(several.state), jax.tree.leaves(one.state), strict=True):
        assert found.sharding.is_fully_replicated
        assert len(found.sharding.device_set) == 4
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
    _check_counts(several.evaluate(), scored)
    np.testing.assert_allclose(several.predict(), probabilities, rtol=1e-4, atol=1e-6)


def test_augmented_images_are_exactly_those_on_one_device():
    config = toy.toy_config(augment__flip="alternating", augment__translate=2, augment__erase=0.5, augment__mixup=0.5)
    augmentation = augment.make(config, (28, 28, 1), 10)

    def seen(train, rows):
        return augmentation.of_epoch(jax.random.key(0), jnp.int32(1), train)(batch_sharding.shard_batch(rows))

    one, four = (_on(number, seen, device.put(TRAIN), np.arange(40)) for number in (1, 4))
    np.testing.assert_array_equal(four.images, one.images)
    np.testing.assert_array_equal(four.targets, one.targets)


def test_the_state_is_donated_and_nothing_but_counts_touches_the_host():
    started = _Started(4)
    train, test = started.train, started.test
    epoch, evaluate = started.programs.epoch(train), started.programs.evaluate(test)
    with jax.transfer_guard("disallow"):
        state, _ = epoch(started.state, started.member, train)
        jax.block_until_ready(evaluate(state, test))
    size = sum(leaf.nbytes for leaf in jax.tree.leaves(state))
    assert epoch.memory_analysis().alias_size_in_bytes == size


def _bytes(workdir) -> list[bytes]:
    return [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(load_trained(workdir).checkpoint.state)]


def test_a_resumed_run_is_the_uninterrupted_one_bit_for_bit(tmp_path, toy_data):
    config = toy.toy_config(toy_data)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    summary = train(config, whole)
    _train_one_epoch_only(config, parts)
    assert _untimed(train(config, parts)) == _untimed(summary)
    assert [_untimed(r) for r in _metrics(parts)] == [_untimed(r) for r in _metrics(whole)]
    assert _bytes(parts) == _bytes(whole)
    assert (parts / "predictions.npz").read_bytes() == (whole / "predictions.npz").read_bytes()
    assert json.loads((whole / "manifest.json").read_text())["batch_devices"] == 4
    assert evaluate(whole, "test")["loss"] == summary["val_loss"]


def test_a_run_goes_on_and_is_scored_where_there_are_fewer_devices(tmp_path, toy_data, alone):
    config = toy.toy_config(toy_data)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    summary = train(config, whole)
    _train_one_epoch_only(config, parts)
    alone()
    resumed = train(config, parts)
    for name in ("train_loss", "val_loss", "train_accuracy", "val_accuracy"):
        assert resumed[name] == pytest.approx(summary[name], rel=1e-5)
    assert evaluate(whole, "test")["loss"] == pytest.approx(summary["val_loss"], rel=1e-5)


@pytest.mark.parametrize(("wanted", "batch", "number"), [(0, 16, 4), (0, 6, 3), (0, 7, 1), (2, 16, 2), (1, 16, 1)])
def test_how_many_devices_are_taken(wanted, batch, number):
    config = toy.toy_config(train__devices=wanted, train__batch_size=batch)
    assert devices.for_training(config) == devices.for_scoring(config) == jax.devices()[:number]


def test_small_batches_are_spread_over_fewer_devices(monkeypatch):
    monkeypatch.undo()
    for batch, number in ((256, 4), (96, 3), (64, 2), (63, 1), (8, 1)):
        assert devices.for_training(toy.toy_config(train__batch_size=batch)) == jax.devices()[:number]
    assert devices.for_training(toy.toy_config(train__batch_size=8, train__devices=4)) == jax.devices()


def test_what_was_trained_on_more_devices_is_scored_on_those_that_there_are():
    config = toy.toy_config(train__devices=8)
    assert devices.for_scoring(config) == jax.devices()
    with pytest.raises(ConfigError, match=r"config\.train\.devices must be at most 4, .* not 8"):
        devices.for_training(config)


def test_devices_that_a_batch_cannot_be_shared_between_are_refused(tmp_path, toy_data):
    with pytest.raises(ConfigError, match=r"config\.train\.devices must divide config\.train\.batch_size, which is 16"):
        train(toy.toy_config(toy_data, train__devices=3), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_members_of_a_population_stay_on_one_device_each():
    population = Population(toy.toy_config(), DATASET)
    outcome = population.train([_Started(1).member])
    assert (outcome.executor, outcome.device) == ("threads", "cpu")
    one = _Started(1).epoch().means()
    assert outcome.histories[0][0]["train_loss"] == one["loss"]
