"""Every program is lowered for TPUs and GPUs, which needs neither: what XLA cannot have there fails here."""

from __future__ import annotations

import re
from typing import Any

import jax
import jax.export
import jax.numpy as jnp
import pytest
import toy

from fmnist_jax import models, ops, optim
from fmnist_jax.data.device import DeviceSplit
from fmnist_jax.ops.conv_algorithm import portable
from fmnist_jax.train.run import Run, make_run, member_of
from fmnist_jax.train.sharded import shard_members

PLATFORMS = ("tpu", "cuda")
# Averaged weights with batch statistics, images mixed, moved, mirrored and halved, several views, soft targets.
EVERYTHING = {
    "model__name": "toy-batchnorm-any-size",
    "loss__label_smoothing": 0.1,
    "augment__flip": "alternating",
    "augment__translate": 2,
    "augment__cutout": 3,
    "augment__erase": 0.5,
    "augment__cutmix": 1.0,
    "eval__metrics": ("top2", "ece"),
    "eval__tta": "flip+translate",
    "train__ema_decay": 0.5,
    "train__half_size_epochs": 1,
}


@models.register("toy-batchnorm-any-size", "toy-batchnorm, for images of half the size too")
class AnySize(toy.ToyBatchNorm):
    def __call__(self, x: jax.Array, **settings: Any) -> jax.Array:
        return super().__call__(jax.image.resize(x, (x.shape[0], 28, 28, 1), "nearest"), **settings)


def _lower(function: Any, *arguments: Any) -> str:
    """Lowers a function for all platforms; returns the program's text."""
    with portable():
        exported = jax.export.export(jax.jit(function), platforms=PLATFORMS)(*arguments)
    assert exported.platforms == PLATFORMS
    return exported.mlir_module()


def _arguments(members: int = 0, **changes: Any) -> tuple[Run, Any, Any]:
    """Returns a run, and the shapes of a state and of a member, or of so many members of a population."""
    config = toy.toy_config(**changes)
    run, member = make_run(config, toy.TRAIN), jax.eval_shape(lambda: member_of(config))
    if members:
        run, *_ = shard_members(run, jax.devices()[:1])
        member = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((members,), leaf.dtype), member)
    return run, jax.eval_shape(run.init, member), member


def _split(examples: int) -> DeviceSplit:
    images, labels = (examples, 28, 28), (examples,)
    return DeviceSplit(jax.ShapeDtypeStruct(images, jnp.uint8), jax.ShapeDtypeStruct(labels, jnp.int32))


@pytest.mark.parametrize("members", [0, 2])
def test_every_program_is_lowered(members):
    run, state, member = _arguments(members, **EVERYTHING)
    train, test = _split(toy.TRAIN), _split(toy.TEST)
    assert run.estimate_statistics is not None
    texts = [
        _lower(run.init, member),
        _lower(run.epoch, state, member, train),
        _lower(run.estimate_statistics, state, train),
        _lower(run.evaluate, state, test),
    ]
    # Members are independent, wherever they are.
    assert not re.findall(r"all_reduce|all_gather|all_to_all|collective|reduce_scatter", "".join(texts))


@pytest.mark.parametrize("name", optim.names())
def test_a_population_of_every_optimizer_is_lowered(name):
    run, state, member = _arguments(2, optimizer__name=name)
    _lower(run.epoch, state, member, _split(toy.TRAIN))


@pytest.mark.parametrize("name", [name for name in models.names() if models.registry.MODELS.is_built_in(name)])
def test_training_of_every_network_is_lowered(name):
    run, state, member = _arguments(model__name=name, precision="bfloat16")
    _lower(run.epoch, state, member, _split(toy.TRAIN))


@pytest.mark.parametrize("algorithm", ["patches", "winograd", "fourier"])
def test_our_convolutions_are_lowered_too(algorithm):
    def loss(kernel: jax.Array, x: jax.Array) -> jax.Array:
        return jnp.sum(ops.conv2d(x, kernel, padding="SAME", algorithm=algorithm) ** 2)

    x, kernel = jax.ShapeDtypeStruct((4, 8, 8, 3), jnp.float32), jax.ShapeDtypeStruct((2, 3, 3, 3, 8), jnp.float32)
    gradients = jax.vmap(jax.grad(loss), (0, None))
    exported = jax.export.export(jax.jit(gradients), platforms=PLATFORMS)(kernel, x)
    assert "stablehlo.convolution" not in exported.mlir_module()
