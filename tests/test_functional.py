"""Networks written the ordinary way, in NNX and in Linen: the examples of the documentation, in everything there is."""

from __future__ import annotations

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toy
from flax import nnx

from fmnist_jax import models
from fmnist_jax.config.python_file import run_registrations
from fmnist_jax.data import FASHION_MNIST, Description, device
from fmnist_jax.errors import ConfigError
from fmnist_jax.models import ComputeConfig, FunctionalModel, registry
from fmnist_jax.train.network import Member
from fmnist_jax.train.run import make_run, member_of

EXAMPLES = Path(__file__).parents[1] / "docs" / "examples"
NETWORKS = ("batchnorm_resnet", "linen_network")
OPTIONS = {"batchnorm_resnet": {"width": 4, "blocks": 1}, "linen_network": {"width": 4}}
TRAIN = toy.split(toy.TRAIN)


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    monkeypatch.setattr(registry.MODELS, "entries", dict(registry.MODELS.entries))
    for name in NETWORKS:
        run_registrations(EXAMPLES / f"{name}.py")


def functional(name: str, options=None, *, description: Description = FASHION_MNIST, dtype=jnp.float32):
    options = OPTIONS.get(name, {}) if options is None else options
    return FunctionalModel(name, ComputeConfig(jnp.dtype(dtype)), options, description, batch_size=8)


def config_of(name: str, **changes):
    config = toy.toy_config(model__name=name, optimizer__name="adam", **changes)
    config.model.options.update(OPTIONS[name])
    return config


def images(number: int, seed: int = 0) -> jax.Array:
    return jax.random.uniform(jax.random.key(seed), (number, 28, 28, 1))


@pytest.mark.parametrize("name", NETWORKS)
def test_training_draws_at_random_and_moves_the_statistics_and_evaluation_does_not(name):
    model = functional(name)
    params, state = model.init(jax.random.key(0))
    x = images(8)
    train, evaluate = jax.jit(model.train), jax.jit(model.evaluate)
    one, after = train(params, state, x, jax.random.key(1), None)
    again, _ = train(params, state, x, jax.random.key(1), None)
    other, _ = train(params, state, x, jax.random.key(2), None)
    assert (one == again).all()
    assert (one != other).any()  # dropout
    assert all((a != b).any() for a, b in zip(jax.tree.leaves(state), jax.tree.leaves(after), strict=True))
    np.testing.assert_allclose(evaluate(params, after, x)[:3], evaluate(params, after, x[:3]), rtol=1e-4, atol=1e-6)
    assert not np.allclose(evaluate(params, state, x), evaluate(params, after, x))


@pytest.mark.parametrize("name", NETWORKS)
def test_padding_enters_no_statistics(name):
    model = functional(name)
    params, state = model.init(jax.random.key(0))
    x, key, train = images(5), jax.random.key(1), jax.jit(model.train)
    _, whole = train(params, state, x, key, None)
    padded = jnp.concatenate([x, 7.0 * images(3, seed=1)])
    _, masked = train(params, state, padded, key, jnp.arange(8) < 5)
    _, unmasked = train(params, state, padded, key, None)
    for a, b, c in zip(*map(jax.tree.leaves, (masked, whole, unmasked)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
        assert not np.allclose(c, b, rtol=1e-4)


@pytest.mark.parametrize("name", NETWORKS)
def test_estimated_statistics_are_the_means_of_the_batches(name):
    model = functional(name)
    params, state = model.init(jax.random.key(0))
    x, batches = images(12), jnp.arange(12).reshape(3, 4)

    # Without dropout, which comes after all batch normalisation, training moves the statistics as estimation does.
    def of_batch(rows):
        _, after = jax.jit(model.train)(params, state, x[rows], jax.random.key(1), None)
        return jax.tree.map(lambda new, old: (new - 0.9 * old) / 0.1, after, state)

    found = model.estimate_statistics(params, state, batches, lambda rows: x[rows])
    expected = jax.tree.map(lambda *leaves: sum(leaves) / 3, *map(of_batch, batches))
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", NETWORKS)
def test_averaged_parameters_are_evaluated_with_statistics_of_their_own(name):
    config = config_of(name, train__ema_decay=0.9)
    run = make_run(config, toy.TRAIN)
    train = device.put(TRAIN)
    state, _ = jax.jit(run.epoch)(jax.jit(run.init)(member_of(config)), member_of(config), train)
    estimated = jax.jit(run.estimate_statistics)(state, train)
    for a, b in zip(jax.tree.leaves(estimated.eval_model_state), jax.tree.leaves(state.model_state), strict=True):
        assert (a != b).any()
    evaluate = jax.jit(run.evaluate)
    assert evaluate(estimated, train).loss != evaluate(state, train).loss
    for name in ("params", "ema", "model_state", "opt_state"):
        for a, b in zip(*(jax.tree.leaves(getattr(each, name)) for each in (estimated, state)), strict=True):
            assert (a == b).all()
    assert make_run(config_of("batchnorm_resnet"), toy.TRAIN).estimate_statistics is None


@pytest.mark.parametrize("name", NETWORKS)
def test_a_member_of_a_population_is_the_run_alone(name):
    config = config_of(name)
    run, train = make_run(config, toy.TRAIN), device.put(TRAIN)
    members = [Member(jnp.uint32(seed), member_of(config).hyperparameters) for seed in (3, 4)]

    @jax.jit
    @jax.vmap
    def trained(member):
        return run.epoch(run.init(member), member, train)

    _, sums = trained(jax.tree.map(lambda *leaves: jnp.stack(leaves), *members))
    init, epoch = jax.jit(run.init), jax.jit(run.epoch)
    for index, member in enumerate(members):
        _, alone = epoch(init(member), member, train)
        np.testing.assert_allclose(sums.loss[index], alone.loss, rtol=1e-4)


def test_other_images_and_classes_reach_the_factory():
    data = Description("pairs", ("a", "b"), (9, 12, 3))
    for model in (functional(name, description=data) for name in NETWORKS):
        params, state = jax.eval_shape(model.init, jax.random.key(0))
        logits = jax.eval_shape(model.evaluate, params, state, jax.ShapeDtypeStruct((4, 9, 12, 3), jnp.float32))
        assert logits.shape == (4, 2)


def test_flaxs_layers_compute_in_the_dtype_and_by_the_algorithm():
    compute = ComputeConfig(jnp.dtype("bfloat16"), "winograd")
    module = nnx.eval_shape(lambda: models.create("batchnorm_resnet", nnx.Rngs(0), compute))
    assert module.stem.conv_general_dilated.keywords == {"algorithm": "winograd"}
    assert {layer.dtype for layer in (module.stem, module.blocks[0].norm1, module.logits)} == {compute.dtype}
    assert {leaf.dtype.name for leaf in jax.tree.leaves(nnx.state(module, nnx.Param))} == {"float32"}


def test_an_option_reaches_the_factory():
    model = functional("batchnorm_resnet", {"width": 8})
    params, _ = jax.eval_shape(model.init, jax.random.key(0))
    assert params["stem"]["kernel"].shape == (3, 3, 1, 8)


@pytest.mark.parametrize(
    ("name", "options", "problem"),
    [
        (
            "batchnorm_resnet",
            {"widht": 8},
            "options.widht is not an option .*; did you mean 'width'",
        ),
        ("batchnorm_resnet", {"width": "8"}, "options.width must be an integer, not '8'"),
        ("batchnorm_resnet", {"rngs": 1}, "options.rngs is not an option"),
        ("toy", {"width": 8}, "options.width is not an option of 'toy', which takes no options"),
        ("batchnorm_resnet", {"width": 0}, "'batchnorm_resnet' (cannot be made|fails)"),
    ],
)
def test_wrong_options_are_refused(name, options, problem):
    with pytest.raises(ConfigError, match=problem):
        functional(name, options)


def _register(call, **attributes):
    class Mine(nnx.Module):
        def __init__(self, *, rngs):
            self.logits = nnx.Linear(784, 10, rngs=rngs)
            for name, make in attributes.items():
                setattr(self, name, make(rngs))

        __call__ = call

    models.register("mine", "a test's")(Mine)


def _plain(self, x):
    return self.logits(x.reshape(x.shape[0], -1))


def _grows(self, x):
    self.seen[...] = self.seen[...] + 1.0
    self.seen = nnx.Variable(jnp.zeros(3))
    return _plain(self, x)


def _sows(self, x):
    self.sow(nnx.Intermediate, "input", x)
    return _plain(self, x)


@pytest.mark.parametrize(
    ("call", "attributes", "problem"),
    [
        (
            lambda self, x: x.reshape(x.shape[0], -1),
            {},
            r"maps images \[8, 28, 28, 1\] to \[8, 784\], not to logits \[8, 10\]",
        ),
        (
            lambda self, x: self.nothing(x),
            {},
            "fails on images .*: AttributeError: .*nothing.*test_functional",
        ),
        (_plain, {"count": lambda rngs: nnx.Param(jnp.zeros(3, int))}, "trains count, an nnx.Param of int32"),
        (_plain, {"key": lambda rngs: nnx.Variable(rngs.params())}, "keeps a random key in key"),
        (
            _grows,
            {"seen": lambda rngs: nnx.Variable(jnp.zeros(()))},
            "has seen of float32.* before a step and .* after",
        ),
        (lambda self, x, labels: _plain(self, x), {}, "fails on images .*labels"),
    ],
)
def test_a_network_that_breaks_the_contract_gets_one_line(call, attributes, problem):
    _register(call, **attributes)
    with pytest.raises(ConfigError, match=problem) as caught:
        functional("mine")
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("model 'mine' ")


@pytest.mark.filterwarnings("ignore:Using 'Module.sow:DeprecationWarning")
def test_what_a_network_sows_is_not_carried_along():
    _register(_sows)
    assert functional("mine").init(jax.random.key(0))[1] == {}


def test_a_factory_that_makes_no_module_is_refused():
    models.register("mine", "a function")(lambda rngs: lambda x: x)
    with pytest.raises(ConfigError, match="'mine' cannot be made: TypeError: its factory returns function"):
        functional("mine")


def test_a_network_that_ignores_the_dtype_is_refused():
    class Sum(nnx.Module):
        def __init__(self):
            self.weight = nnx.Param(jnp.zeros((784, 10)))

        def __call__(self, x):
            return x.reshape(x.shape[0], -1) @ self.weight[...]

    models.register("mine", "a product")(Sum)
    functional("mine")
    with pytest.raises(ConfigError, match="it does not compute in bfloat16"):
        functional("mine", dtype="bfloat16")


def test_extra_arguments_are_passed_where_they_are_named():
    seen = {}

    def call(self, x, *, train, rngs=None, mask=None):
        seen[train] = (rngs is not None, mask is not None)
        return _plain(self, x)

    _register(call)
    model = functional("mine")
    params, state = model.init(jax.random.key(0))
    model.train(params, state, images(2), jax.random.key(0), jnp.ones(2, bool))
    model.evaluate(params, state, images(2))
    assert seen == {True: (True, True), False: (False, False)}
