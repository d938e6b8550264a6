import dataclasses
import importlib

import jax
import numpy as np
import pytest
from flax import nnx

from fmnist_jax import models
from fmnist_jax.benchmark.architecture import PROBLEMS
from fmnist_jax.benchmark.contenders import CONTENDERS, ours, precision, stock_flax
from fmnist_jax.benchmark.task import Unavailable

# What the other frameworks warn of is for them to mend.
pytestmark = pytest.mark.filterwarnings("ignore")

# One with each part: no dense layer, a third convolution, padding.
_NETWORKS = ["model1", "model3", "2c2d"]
_SMALL = dataclasses.replace(PROBLEMS["model2"], batch_size=8)


@pytest.mark.parametrize("name", _NETWORKS)
def test_stock_flax_with_our_weights_gives_our_logits(name):
    problem = PROBLEMS[name]
    model = models.create(problem.model, nnx.Rngs(3))
    stock = nnx.view(stock_flax.Network(problem.architecture, rngs=nnx.Rngs(4)), deterministic=True)
    nnx.update(stock, nnx.state(model, nnx.Param))
    images = jax.random.uniform(jax.random.key(5), (8, 28, 28, 1))
    np.testing.assert_allclose(nnx.jit(stock)(images), nnx.jit(model)(images), atol=1e-5)


@pytest.mark.parametrize("name", _NETWORKS)
def test_keras_has_the_same_network(name):
    pytest.importorskip("tensorflow")
    pytest.importorskip("keras")
    from fmnist_jax.benchmark.contenders import keras_tensorflow

    problem = PROBLEMS[name]
    network = keras_tensorflow.network(problem)
    model = models.create(problem.model, nnx.Rngs(3))
    network.set_weights([np.asarray(leaf) for pair in _layers(model) for leaf in pair])
    images = np.asarray(jax.random.uniform(jax.random.key(5), (8, 28, 28, 1)))
    np.testing.assert_allclose(network(images), nnx.jit(model)(images), atol=1e-5)


@pytest.mark.parametrize("name", _NETWORKS)
def test_pytorch_has_the_same_network(name):
    torch = pytest.importorskip("torch")
    from fmnist_jax.benchmark.contenders import pytorch

    problem = PROBLEMS[name]
    network = pytorch.network(problem).eval()
    model = models.create(problem.model, nnx.Rngs(3))
    trained = [layer for layer in network if list(layer.parameters())]
    last = problem.architecture.conv_layers()[-1]
    with torch.no_grad():
        for layer, (kernel, bias) in zip(trained, _layers(model), strict=True):
            layer.weight.copy_(torch.tensor(_as_torch(np.asarray(kernel), layer.weight.ndim, last)))
            layer.bias.copy_(torch.tensor(np.asarray(bias)))
        images = np.asarray(jax.random.uniform(jax.random.key(5), (8, 28, 28, 1)))
        logits = network(torch.tensor(images.transpose(0, 3, 1, 2)))
    np.testing.assert_allclose(logits, nnx.jit(model)(images), atol=1e-5)


@pytest.mark.parametrize("name", [name for name in CONTENDERS if name != "ours"])
def test_contenders_do_what_they_are_timed_for(name):
    framework = CONTENDERS[name].framework
    for package in {"keras": ["tensorflow", "keras"], "torch": ["torch"]}.get(framework, []):
        pytest.importorskip(package)
    contender = importlib.import_module(CONTENDERS[name].module).make(_SMALL, CONTENDERS[name].variant)
    assert contender.parameters == _SMALL.architecture.parameters()
    for task in contender.tasks.values():
        go = task.prepare(2)
        go()
        go()


@pytest.mark.parametrize("executor", ["vmap", "threads"])
def test_a_population_does_the_work_of_its_members(executor):
    contender = ours.make(_SMALL, f"{executor} 2")
    assert contender.tasks["train"].unit == 2 * _SMALL.batch_size
    contender.tasks["train"].prepare(2)()


@pytest.mark.parametrize("name", ["model1", "model2", "model3", "2c2d"])
def test_ours_in_another_width_is_the_architecture_in_that_width(name):
    problem = dataclasses.replace(PROBLEMS[name].widened(8), batch_size=8)
    contender = ours.make(problem, "")
    assert contender.parameters == problem.architecture.parameters() != PROBLEMS[name].architecture.parameters()
    # A second one of the same kind finds it registered.
    assert ours.make(problem, "").parameters == contender.parameters


def test_a_whole_run_trains_and_scores_each_epoch(monkeypatch):
    monkeypatch.setattr(ours, "TRAIN_EXAMPLES", 20)
    monkeypatch.setattr(ours, "TEST_EXAMPLES", 10)
    problem = dataclasses.replace(PROBLEMS["model1"].widened(2), batch_size=8)
    task = ours.make(problem, "").tasks["ten epochs"]
    finished = []
    monkeypatch.setattr(ours, "_finish", lambda counts: finished.append(jax.device_get(counts)))
    go = task.prepare(3)
    finished.clear()
    go()
    assert (task.unit, task.most, task.whole) == (20, 10, True)
    assert [(trained.examples, scored.examples) for trained, scored in finished] == [(20, 10)] * 3
    # From the beginning each time.
    go()
    assert finished[3][0].loss == finished[0][0].loss > finished[2][0].loss


@pytest.fixture
def products():
    """Gives back the precision of products as it was."""
    before = jax.config.jax_default_matmul_precision
    yield
    jax.config.update("jax_default_matmul_precision", before)


def test_precision_and_lowering_are_those_of_the_problem(products):
    def made(precision):
        problem = dataclasses.replace(_SMALL, precision=precision, lowering="patches")
        ours.make(problem, "")
        return ours.config_of(problem).precision, jax.config.jax_default_matmul_precision

    assert made("") == ("float32", None)
    assert made("bfloat16") == ("bfloat16", None)
    assert made("float32") == ("float32", "float32")
    assert ours.config_of(dataclasses.replace(_SMALL, lowering="patches")).model.conv_algorithm == "patches"


class _Device:
    def __init__(self, device_kind, capability=None):
        self.device_kind = device_kind
        if capability:
            self.compute_capability = capability


def test_tf32_is_of_the_devices_that_have_it(products, monkeypatch):
    for device in (_Device("cpu"), _Device("V100", "7.0"), _Device("MI300", "gfx942")):
        monkeypatch.setattr(jax, "devices", lambda device=device: [device])
        with pytest.raises(Unavailable, match=f"{device.device_kind} has no TF32"):
            precision.compute_in("tf32")
    for capability in ("8.0", "9.0", "12.0"):
        monkeypatch.setattr(jax, "devices", lambda capability=capability: [_Device("new", capability)])
        precision.compute_in("tf32")
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
