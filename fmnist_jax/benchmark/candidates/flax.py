"""Stock Flax NNX: its own layers, a step as in its MNIST example, in a Python loop or in a `lax.scan`.

Imports nothing of the package beside the benchmark: its start and its memory are stock Flax's.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax import lax

from fmnist_jax.benchmark import networks
from fmnist_jax.benchmark.candidates import Go, Implementation, network_tasks, random_images
from fmnist_jax.benchmark.candidates.machine import on_jax
from fmnist_jax.benchmark.problem import EVAL_BATCH, Problem

_Batch = tuple[Any, Any]  # images and labels


def make(problem: Problem, variant: str) -> Implementation:
    """Returns the implementation; `variant` is `"loop"` or `"scan"`."""
    trainer = _Trainer(problem, scan=variant == "scan")
    parameters = sum(leaf.size for leaf in jax.tree.leaves(nnx.state(trainer.model, nnx.Param)))
    return on_jax(network_tasks(trainer.train, trainer.evaluate, problem.batch_size), parameters)


def network(layers: networks.Layers, shape: networks.Shape = networks.IMAGE, *, rngs: nnx.Rngs) -> nnx.Sequential:
    """Returns the network in Flax's own layers, from images `[batch, 28, 28, 1]` to logits."""
    return nnx.Sequential(*(_module(layer, before, rngs) for layer, before in networks.placed(layers, shape)))


def _module(layer: networks.Layer, before: networks.Shape, rngs: nnx.Rngs) -> Callable[[jax.Array], jax.Array]:
    match layer:
        case networks.Conv(features, size, padding, stride, bias):
            window = (size, size)
            return nnx.Conv(before.features, features, window, stride, padding=padding, use_bias=bias, rngs=rngs)
        case networks.Norm(momentum, scale, bias):
            norm = functools.partial(nnx.BatchNorm, epsilon=networks.NORM_EPSILON, rngs=rngs)
            return norm(before.features, momentum=momentum, use_scale=scale, use_bias=bias)
        case networks.Dense(features):
            return nnx.Linear(before.features, features, rngs=rngs)
        case networks.Dropout(rate):
            return nnx.Dropout(rate, rngs=rngs)
        case networks.Sum(body, shortcut):
            return _Sum(network(body, before, rngs=rngs), network(shortcut, before, rngs=rngs))
    return _FUNCTIONS[layer]


_FUNCTIONS: Mapping[str, Callable[[jax.Array], jax.Array]] = {
    "relu": nnx.relu,
    "pool": functools.partial(nnx.max_pool, window_shape=(2, 2), strides=(2, 2)),
    # Not `x.max`: where XLA computes x twice and rounds it differently, no pixel equals it and gets its gradient.
    "max": lambda x: nnx.max_pool(x, x.shape[1:3]).reshape(x.shape[0], -1),
    "mean": functools.partial(jnp.mean, axis=(1, 2)),
    "flatten": lambda x: x.reshape(x.shape[0], -1),
}


class _Sum(nnx.Module):
    def __init__(self, body: nnx.Module, shortcut: nnx.Module):
        self.body, self.shortcut = body, shortcut

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.shortcut(x) + self.body(x)


class _Trainer:
    """The model with its optimizer and metrics, and the same model in evaluation mode."""

    def __init__(self, problem: Problem, scan: bool):
        self.scan, self.repeated = scan, _scanned if scan else _looped
        self.batch_size, rate = problem.batch_size, problem.learning_rate
        adam = problem.optimizer == "adam"
        update = optax.adam(rate, eps=1e-7) if adam else optax.rmsprop(rate, decay=0.9, eps=1e-7)
        self.model = network(problem.layers, rngs=nnx.Rngs(0))
        self.optimizer = nnx.Optimizer(self.model, update, wrt=nnx.Param)
        self.metrics = nnx.MultiMetric(accuracy=nnx.metrics.Accuracy(), loss=nnx.metrics.Average("loss"))
        evaluation = {"deterministic": True, "use_running_average": True}
        self.eval_model = nnx.view(self.model, **evaluation, raise_if_not_found=False)
        self.key = jax.random.key(0)

    def train(self, batches: int) -> Go:
        data = _on_device(batches * self.batch_size)
        run = self.repeated(_train_step)

        def go() -> None:
            self.key, key = jax.random.split(self.key)
            rows = jax.random.permutation(key, batches * self.batch_size).reshape(batches, self.batch_size)
            run((self.model, self.optimizer, self.metrics), data, rows)
            jax.block_until_ready((nnx.state(self.model), self.metrics.compute()))

        return go

    def evaluate(self, batches: int) -> Go:
        images, labels = (x.reshape(batches, EVAL_BATCH, *x.shape[1:]) for x in _on_device(batches * EVAL_BATCH))
        data = (images, labels) if self.scan else (list(images), list(labels))
        run = self.repeated(_eval_step)

        def go() -> None:
            run((self.eval_model, self.metrics), data, np.arange(batches))
            jax.block_until_ready(self.metrics.compute())

        return go


def _on_device(examples: int) -> _Batch:
    images, labels = random_images(examples)
    return jnp.asarray(images), jnp.asarray(labels, jnp.int32)


def _loss(model: nnx.Sequential, batch: _Batch) -> tuple[jax.Array, jax.Array]:
    images, labels = batch
    logits = model(images[..., None].astype(jnp.float32) / 255)
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean(), logits


@nnx.jit
def _train_step(model: nnx.Sequential, optimizer: nnx.Optimizer, metrics: nnx.MultiMetric, batch: _Batch) -> None:
    (loss, logits), gradients = nnx.value_and_grad(_loss, has_aux=True)(model, batch)
    metrics.update(loss=loss, logits=logits, labels=batch[1])
    optimizer.update(model, gradients)


@nnx.jit
def _eval_step(model: nnx.Sequential, metrics: nnx.MultiMetric, batch: _Batch) -> None:
    loss, logits = _loss(model, batch)
    metrics.update(loss=loss, logits=logits, labels=batch[1])


def _looped(step: Callable[..., None]) -> Callable[..., None]:
    """Returns `run(graph, data, rows)`: a step for each entry of `rows`, which picks its batch from the data."""

    def run(graph: tuple[Any, ...], data: _Batch, rows: Any) -> None:
        for row in rows:
            step(*graph, (data[0][row], data[1][row]))

    return run


def _scanned(step: Callable[..., None]) -> Callable[..., None]:
    """Returns the same as one program."""

    @nnx.jit
    def run(graph: tuple[Any, ...], data: _Batch, rows: Any) -> None:
        structure, state = nnx.split(graph)

        def body(state: Any, row: Any) -> tuple[Any, None]:
            parts = nnx.merge(structure, state)
            step(*parts, (data[0][row], data[1][row]))
            return nnx.state(parts), None

        state, _ = lax.scan(body, state, rows)
        nnx.update(graph, state)

    return run
