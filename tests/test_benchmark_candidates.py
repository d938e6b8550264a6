import dataclasses
import importlib
import subprocess
import sys

import jax
import numpy as np
import pytest
from flax import nnx

from fmnist_jax import models
from fmnist_jax.benchmark.candidates import CANDIDATES, Unavailable, flax, ours
from fmnist_jax.benchmark.problem import PROBLEMS

# Warnings inside the other frameworks are not ours to fix.
pytestmark = pytest.mark.filterwarnings("ignore")

# Between them: no dense layer, a third convolution, padding.
_NETWORKS = ["model1", "model3", "2c2d"]
_SMALL = dataclasses.replace(PROBLEMS["model2"], batch_size=8)


@pytest.mark.parametrize("name", _NETWORKS)
def test_stock_flax_with_our_weights_gives_our_logits(name):
    problem = PROBLEMS[name]
    model = models.create(problem.network, nnx.Rngs(3))
    stock = nnx.view(flax.Network(problem.architecture, rngs=nnx.Rngs(4)), deterministic=True)
    nnx.update(stock, nnx.state(model, nnx.Param))
    images = jax.random.uniform(jax.random.key(5), (8, 28, 28, 1))
    np.testing.assert_allclose(nnx.jit(stock)(images), nnx.jit(model)(images), atol=1e-5)


@pytest.mark.parametrize("name", _NETWORKS)
def test_keras_has_the_same_network(name):
    pytest.importorskip("tensorflow")
    pytest.importorskip("keras")
    from fmnist_jax.benchmark.candidates import keras

    problem = PROBLEMS[name]
    network = keras.network(problem)
    model = models.create(problem.network, nnx.Rngs(3))
    network.set_weights([np.asarray(leaf) for pair in _layers(model) for leaf in pair])
    images = np.asarray(jax.random.uniform(jax.random.key(5), (8, 28, 28, 1)))
    np.testing.assert_allclose(network(images), nnx.jit(model)(images), atol=1e-5)


@pytest.mark.parametrize("name", _NETWORKS)
def test_pytorch_has_the_same_network(name):
    torch = pytest.importorskip("torch")
    from fmnist_jax.benchmark.candidates import torch as pytorch

    problem = PROBLEMS[name]
    network = pytorch.network(problem).eval()
    model = models.create(problem.network, nnx.Rngs(3))
    trained = [layer for layer in network if list(layer.parameters())]
    last = problem.architecture.conv_layers()[-1]
    with torch.no_grad():
        for layer, (kernel, bias) in zip(trained, _layers(model), strict=True):
            layer.weight.copy_(torch.tensor(_as_torch(np.asarray(kernel), layer.weight.ndim, last)))
            layer.bias.copy_(torch.tensor(np.asarray(bias)))
        images = np.asarray(jax.random.uniform(jax.random.key(5), (8, 28, 28, 1)))
        logits = network(torch.tensor(images.transpose(0, 3, 1, 2)))
    np.testing.assert_allclose(logits, nnx.jit(model)(images), atol=1e-5)


@pytest.mark.parametrize("name", [name for name in CANDIDATES if name != "ours"])
def test_candidates_do_what_they_are_timed_for(name):
    framework = CANDIDATES[name].framework
    for package in {"keras": ["tensorflow", "keras"], "torch": ["torch"]}.get(framework, []):
        pytest.importorskip(package)
    implementation = importlib.import_module(CANDIDATES[name].module).make(_SMALL, CANDIDATES[name].variant)
    assert implementation.parameters == _SMALL.architecture.parameters()
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


@pytest.mark.parametrize("name", ["model1", "model2", "model3", "2c2d"])
def test_ours_in_another_width_is_the_architecture_in_that_width(name):
    problem = dataclasses.replace(PROBLEMS[name], channels=8, batch_size=8)
    implementation = ours.make(problem, "")
    assert implementation.parameters == problem.architecture.parameters() != PROBLEMS[name].architecture.parameters()
    # A second one of the same kind finds it registered.
    assert ours.make(problem, "").parameters == implementation.parameters


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


def _layers(model):
    """The kernels and biases of our model's layers, first to last."""
    names = ["conv1", "conv2", "conv3", "hidden", "logits"]
    found = [getattr(model, name, None) for name in names]
    return [(layer.kernel[...], layer.bias[...]) for layer in found if layer is not None]


def _as_torch(kernel, ndim, last):
    if ndim == 4:
        return kernel.transpose(3, 2, 0, 1)
    if kernel.shape[0] == last.size_out**2 * last.conv.features:
        # PyTorch flattens channels first.
        size = (last.size_out, last.size_out, last.conv.features, -1)
        kernel = kernel.reshape(size).transpose(2, 0, 1, 3).reshape(kernel.shape)
    return kernel.T
