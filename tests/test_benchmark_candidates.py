import dataclasses
import functools
import importlib
import subprocess
import sys

import jax
import numpy as np
import optax
import pytest
from flax import nnx

from fmnist_jax import models
from fmnist_jax.benchmark.candidates import CANDIDATES, Unavailable, flax, ours
from fmnist_jax.benchmark.networks import placed
from fmnist_jax.benchmark.problem import PROBLEMS

# Warnings inside the other frameworks are not ours to fix.
pytestmark = pytest.mark.filterwarnings("ignore")

# Between them: no dense layer, a third convolution, padding, batch normalisation, strides, both kinds of shortcut.
_NETWORKS = ["model1", "model3", "2c2d", "resnet8", "speednet"]
_SMALL = dataclasses.replace(PROBLEMS["model2"], batch_size=8)
_RNG = np.random.default_rng(5)
_IMAGES, _LABELS = _RNG.random((8, 28, 28, 1), np.float32), np.arange(8)


@pytest.mark.parametrize("name", _NETWORKS)
def test_stock_flax_has_the_same_network(name):
    arrays, *expected = _ours(name)
    stock = flax.network(PROBLEMS[name].layers, rngs=nnx.Rngs(4))
    for variable, array in zip(_variables(stock), arrays, strict=True):
        variable[...] = array
    _check(_in_flax(stock), expected)


@pytest.mark.parametrize("name", _NETWORKS)
def test_keras_has_the_same_network(name):
    tensorflow = pytest.importorskip("tensorflow")
    pytest.importorskip("keras")
    from fmnist_jax.benchmark.candidates import keras

    arrays, *expected = _ours(name)
    network = keras.network(PROBLEMS[name].layers)
    network.set_weights(arrays)
    logits, after = network(_IMAGES), []
    if expected[1]:
        with tensorflow.GradientTape() as tape:
            trained = network(_IMAGES, training=True)
            loss = tensorflow.nn.sparse_softmax_cross_entropy_with_logits(_LABELS, trained)
            loss = tensorflow.reduce_mean(loss)
        gradients = iter(tape.gradient(loss, [weight.value for weight in network.trainable_weights]))
        after = [next(gradients) if weight.trainable else weight.value for weight in network.weights]
    _check((logits, after), expected)


@pytest.mark.parametrize("name", _NETWORKS)
def test_pytorch_has_the_same_network(name):
    torch = pytest.importorskip("torch")
    from fmnist_jax.benchmark.candidates import torch as pytorch

    arrays, *expected = _ours(name)
    layers = PROBLEMS[name].layers
    network = pytorch.network(layers).eval()
    tensors = [tensor for layer in network.modules() for tensor in _tensors(layer)]
    images, after = torch.tensor(_IMAGES).permute(0, 3, 1, 2), []
    with torch.no_grad():
        for tensor, array in zip(tensors, arrays, strict=True):
            tensor.copy_(torch.tensor(_as_torch(array, layers)))
        logits = network(images)
    if expected[1]:
        for layer in network.modules():
            if isinstance(layer, torch.nn.BatchNorm2d):
                layer.register_forward_pre_hook(_lower_variance)
        torch.nn.functional.cross_entropy(network.train()(images), torch.tensor(_LABELS)).backward()
        after = [_from_torch(tensor.grad if tensor.requires_grad else tensor) for tensor in tensors]
    _check((logits, after), expected)


@pytest.mark.parametrize("name", [name for name in CANDIDATES if name != "ours"])
def test_candidates_do_what_they_are_timed_for(name):
    framework = CANDIDATES[name].framework
    for package in {"keras": ["tensorflow", "keras"], "torch": ["torch"]}.get(framework, []):
        pytest.importorskip(package)
    implementation = importlib.import_module(CANDIDATES[name].module).make(_SMALL, CANDIDATES[name].variant)
    assert implementation.parameters == _SMALL.parameters()
    for task in implementation.tasks.values():
        go = task.prepare(2)
        go()
        go()


def test_the_process_of_a_peer_imports_no_jax():
    # --keras_python and --torch_python need no JAX, and the memory of a peer is its own.
    code = "import sys, fmnist_jax.benchmark.child, fmnist_jax.benchmark.candidates; print('jax' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


@pytest.mark.parametrize("executor", ["vmap", "threads"])
def test_a_population_does_the_work_of_its_members(executor):
    implementation = ours.make(_SMALL, f"{executor} 2")
    assert implementation.tasks["train"].work == 2 * _SMALL.batch_size
    implementation.tasks["train"].prepare(2)()


@pytest.mark.parametrize("name", ["model1", "model2", "model3", "2c2d", "resnet8", "speednet"])
def test_ours_in_another_width_is_the_network_in_that_width(name):
    problem = dataclasses.replace(PROBLEMS[name], channels=48, batch_size=8)
    assert ours.make(problem, "").parameters == problem.parameters() != PROBLEMS[name].parameters()


def test_a_width_that_our_network_cannot_have_is_unavailable():
    with pytest.raises(Unavailable, match="our resnet8 has multiples of 16 channels, not 8"):
        ours.make(dataclasses.replace(PROBLEMS["resnet8"], channels=8), "")


@pytest.fixture
def products():
    """Restores the precision of products."""
    before = jax.config.jax_default_matmul_precision
    yield
    jax.config.update("jax_default_matmul_precision", before)


def test_precision_and_algorithm_are_those_of_the_problem(products):
    def made(precision):
        problem = dataclasses.replace(_SMALL, precision=precision, algorithm="patches")
        ours.make(problem, "")
        return ours.config_of(problem).precision, jax.config.jax_default_matmul_precision

    assert made("") == ("float32", None)
    assert made("bfloat16") == ("bfloat16", None)
    assert made("float32") == ("float32", "float32")
    assert ours.config_of(dataclasses.replace(_SMALL, algorithm="patches")).model.conv_algorithm == "patches"


class _Device:
    def __init__(self, device_kind, capability=None):
        self.device_kind = device_kind
        if capability:
            self.compute_capability = capability


def test_tf32_is_unavailable_on_devices_without_it(products, monkeypatch):
    for device in (_Device("cpu"), _Device("V100", "7.0"), _Device("MI300", "gfx942")):
        monkeypatch.setattr(jax, "devices", lambda device=device: [device])
        with pytest.raises(Unavailable, match=f"{device.device_kind} has no TF32"):
            ours.set_precision("tf32")
    for capability in ("8.0", "9.0", "12.0"):
        monkeypatch.setattr(jax, "devices", lambda capability=capability: [_Device("new", capability)])
        ours.set_precision("tf32")
        assert jax.config.jax_default_matmul_precision == "tensorfloat32"


@functools.cache
def _ours(name):
    """The arrays of our network, in the order of its layers, and what it gives; see `_in_flax`."""
    model = models.create(PROBLEMS[name].network, nnx.Rngs(3), models.ComputeConfig(algorithm="xla"))
    for variable in _variables(model):
        if variable[...].ndim == 1:
            variable[...] = _RNG.uniform(0.5, 1.5, variable.shape).astype(np.float32)
    return [np.asarray(variable[...]) for variable in _variables(model)], *_in_flax(model)


def _in_flax(model):
    """The logits in evaluation and, with batch normalisation, each gradient and statistic after a step of training.

    Leaves those in the model, in whose order they are.
    """
    structure, params, state = nnx.split(model, nnx.Param, ...)

    def loss(params, state):
        trained = nnx.merge(structure, params, state, copy=True)
        losses = optax.softmax_cross_entropy_with_integer_labels(trained(_IMAGES), _LABELS)
        return losses.mean(), nnx.state(trained, nnx.BatchStat)

    @jax.jit
    def outcome(params, state):
        evaluated = nnx.merge(structure, params, state)
        evaluated = nnx.view(evaluated, deterministic=True, use_running_average=True, raise_if_not_found=False)
        return evaluated(_IMAGES), jax.grad(loss, has_aux=True)(params, state) if normalised else None

    normalised = bool(jax.tree.leaves(nnx.state(model, nnx.BatchStat)))
    logits, after = outcome(params, state)
    if not normalised:
        return logits, []
    nnx.update(model, *after)
    return logits, [variable[...] for variable in _variables(model)]


def _variables(node):
    """The arrays of a Flax network but the state of its random numbers, in the order of its layers."""
    own = [getattr(node, name, None) for name in ("kernel", "scale", "bias", "mean", "var")]
    children = node if isinstance(node, nnx.List) else vars(node).values()
    nested = [each for child in children if isinstance(child, nnx.Module) for each in _variables(child)]
    return [variable for variable in own if isinstance(variable, nnx.Variable)] + nested


def _check(found, expected):
    """Compares to what float32 sums over a batch's pixels in different orders have in common."""
    (logits, after), (expected_logits, expected_after) = found, expected
    for one, other in zip([logits, *after], [expected_logits, *expected_after], strict=True):
        np.testing.assert_allclose(np.asarray(one), np.asarray(other), rtol=0, atol=1e-4 * np.abs(other).max())


def _tensors(layer):
    """The trained parameters and the running statistics of a layer of PyTorch."""
    trained = [parameter for parameter in layer.parameters(recurse=False) if parameter.requires_grad]
    return trained + [buffer for buffer in layer.buffers(recurse=False) if buffer.ndim]


def _lower_variance(norm, inputs):
    """Lowers the running variance by what its update exceeds that of Flax and Keras: of n values, not of n - 1."""
    values = inputs[0].detach().transpose(0, 1).flatten(1)
    norm.running_var -= norm.momentum / (1 - norm.momentum) * values.var(1) / values.shape[1]


def _as_torch(array, layers):
    if array.ndim == 4:
        return array.transpose(3, 2, 0, 1)
    for layer, before in placed(layers):
        if layer == "flatten" and array.ndim == 2 and len(array) == before.size**2 * before.features:
            # PyTorch flattens channels first.
            size = (before.size, before.size, before.features, -1)
            array = array.reshape(size).transpose(2, 0, 1, 3).reshape(array.shape)
    return array.T


def _from_torch(tensor):
    array = np.asarray(tensor)
    return array.transpose(2, 3, 1, 0) if array.ndim == 4 else array.T
