from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toy  # registers its networks
from flax import nnx

from fmnist_jax import models
from fmnist_jax.data import FASHION_MNIST, Description
from fmnist_jax.errors import ConfigError
from fmnist_jax.models import deepobs, keras_cnn, registry

IMAGES = jax.ShapeDtypeStruct((3, 28, 28, 1), jnp.float32)


def _params(name: str, seed: int = 0):
    return nnx.to_pure_dict(nnx.state(models.create(name, nnx.Rngs(params=seed)), nnx.Param))


def _functional(name: str, **options) -> models.FunctionalModel:
    return models.FunctionalModel(name, models.ComputeConfig(), options, FASHION_MNIST, batch_size=8)


def _drawn(name: str):
    return jax.tree.map(np.asarray, jax.jit(lambda: _params(name))())


@pytest.mark.smoke
@pytest.mark.parametrize(
    ("name", "parameters"), [("model1", 34_826), ("model2", 121_930), ("model3", 390_410), ("2c2d", 3_274_634)]
)
def test_parameters(name, parameters):
    assert models.count_parameters(jax.eval_shape(lambda: _params(name))) == parameters


@pytest.mark.parametrize(
    ("factory", "parameters"),
    [
        # Kernel and bias of each layer, first to last.
        (partial(keras_cnn.KerasCNN, third=0, hidden=0), 10 * 8 + 73 * 16 + 401 * 10),
        (partial(keras_cnn.KerasCNN, third=32, hidden=5), 10 * 8 + 73 * 16 + 145 * 32 + 289 * 5 + 6 * 10),
        (deepobs.TwoConvTwoDense, 26 * 8 + 201 * 16 + 785 * 1024 + 1025 * 10),
    ],
)
def test_networks_of_other_widths(factory, parameters):
    def computed(images):
        model = factory(first=8, compute=models.ComputeConfig(), rngs=nnx.Rngs(params=0))
        return model(images), nnx.to_pure_dict(nnx.state(model, nnx.Param))

    logits, params = jax.eval_shape(computed, IMAGES)
    assert logits.shape == (3, 10)
    assert models.count_parameters(params) == parameters


@pytest.mark.parametrize("name", ["model1", "model2", "model3", "2c2d"])
@pytest.mark.parametrize("image_shape", [(32, 32, 3), (18, 23, 1), (19, 18, 2)])
def test_networks_for_other_data(name, image_shape):
    description = Description("own", ("a", "b", "c"), image_shape)
    network = models.FunctionalModel(name, models.ComputeConfig(), {}, description, batch_size=8)
    params, _ = jax.eval_shape(network.init, jax.random.key(0))
    assert params["logits"]["bias"].shape == (3,)


@pytest.mark.parametrize(("name", "least"), [("model1", 10), ("model2", 10), ("model3", 18), ("2c2d", 4)])
def test_images_too_small_for_a_network_are_an_error_with_the_least_size(name, least):
    def made(size: int) -> None:
        description = Description("own", ("a", "b"), (28, size, 1))
        models.FunctionalModel(name, models.ComputeConfig(), {}, description, batch_size=8)

    made(least)
    with pytest.raises(ConfigError, match=f"at least {least} pixels"):
        made(least - 1)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", ["model1", "model2", "model3", "2c2d"])
def test_logits_have_the_dtype_of_the_computation(name, precision):
    def computed(images):
        model = models.create(name, nnx.Rngs(params=0), models.ComputeConfig(dtype=jnp.dtype(precision)))
        return model(images, train=False), nnx.to_pure_dict(nnx.state(model, nnx.Param))

    logits, params = jax.eval_shape(computed, IMAGES)
    assert (logits.shape, logits.dtype) == ((3, 10), precision)
    assert {str(leaf.dtype) for leaf in jax.tree.leaves(params)} == {"float32"}


def test_kernels_start_as_in_keras():
    layers = _drawn("model2")
    for name, size in {"conv1": 9, "conv2": 9, "hidden": 1, "logits": 1}.items():
        kernel, bias = layers[name]["kernel"], layers[name]["bias"]
        fan_in, fan_out = kernel.shape[-2:]
        bound = np.sqrt(6 / (size * fan_in + size * fan_out))
        assert np.abs(kernel).max() <= bound
        # Uniform: the extremes of hundreds of draws reach the bound; the standard deviation is bound / sqrt(3).
        assert np.abs(kernel).max() > 0.97 * bound
        assert np.std(kernel) == pytest.approx(bound / np.sqrt(3), rel=0.1)
        assert not bias.any()


def test_2c2d_starts_as_in_deepobs():
    for layer in _drawn("2c2d").values():
        kernel = layer["kernel"]
        assert np.abs(kernel).max() <= 0.1
        # Truncated at two standard deviations, a normal distribution keeps 0.88 of its standard deviation.
        assert np.std(kernel) == pytest.approx(0.05 * 0.8796, rel=0.05)
        assert (layer["bias"] == np.float32(0.05)).all()


def test_different_keys_start_differently():
    one, two = (_params("toy", seed) for seed in (0, 1))
    assert (one["hidden"]["kernel"] != two["hidden"]["kernel"]).any()


def test_dropout_applies_only_in_training():
    model, images = models.create("toy", nnx.Rngs(params=0)), jnp.ones((2, 28, 28, 1))
    scored = model(images, train=False)
    trained = model(images, train=True, rngs=nnx.Rngs(dropout=1))
    assert (scored == model(images)).all()
    assert (scored[0] == scored[1]).all()
    assert (trained[0] != trained[1]).any()


def test_names_include_the_built_in_and_the_users_networks():
    assert {"model1", "model2", "model3", "2c2d", "toy"} <= set(models.names())


def test_an_unknown_name_suggests_the_nearest():
    with pytest.raises(ConfigError, match=r"config\.model\.name must be one of .*did you mean 'model3'\?"):
        models.create("model33", nnx.Rngs(0))


@pytest.fixture
def registered(monkeypatch):
    monkeypatch.setattr(registry.MODELS, "entries", dict(registry.MODELS.entries))


def test_a_network_with_other_outputs_is_rejected(registered):
    @models.register("flat", "images, flat")
    class Flat(nnx.Module):
        def __init__(self, *, compute, rngs):
            pass

        def __call__(self, x, *, train=False, rngs=None):
            return x.reshape(x.shape[0], -1)

    with pytest.raises(ConfigError, match=r"model 'flat' maps images \[8, 28, 28, 1\] to \[8, 784\], not to logits"):
        _functional("flat")


def test_a_second_registration_replaces_a_users_network(registered):
    for summary in ("one", "two"):
        models.register("mine", summary)(toy.Toy)
    assert registry.MODELS.get("mine").summary == "two"
    assert models.names().count("mine") == 1


@pytest.mark.parametrize("name", ["model1", "model2", "model3", "2c2d"])
def test_a_built_in_network_cannot_be_replaced(registered, name):
    with pytest.raises(ValueError, match=f"a model is registered as '{name}' already, and built in"):
        models.register(name, "again")(toy.Toy)


SHAPES = {
    "conv": {
        "kernel": jax.ShapeDtypeStruct((3, 3, 1, 32), jnp.float32),
        "bias": jax.ShapeDtypeStruct((32,), "float32"),
    },
    "scale": jax.ShapeDtypeStruct((), jnp.float32),
    "wide": np.zeros((1000, 20)),
}


def test_count_parameters():
    assert models.count_parameters(SHAPES) == 9 * 32 + 32 + 1 + 20_000
    assert models.count_parameters({}) == 0


def test_the_parameter_table_has_a_line_for_each_array_and_the_total():
    lines = [line.split() for line in models.parameter_table(SHAPES).splitlines()]
    assert lines == [
        ["conv/bias", "32", "32"],
        ["conv/kernel", "3x3x1x32", "288"],
        ["scale", "1"],
        ["wide", "1000x20", "20,000"],
        ["total", "20,321"],
    ]
    assert len({len(line) for line in models.parameter_table(SHAPES).splitlines()}) == 1
