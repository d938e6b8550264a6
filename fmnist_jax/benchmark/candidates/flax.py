"""Stock Flax NNX: its own layers, a step as in its MNIST example, in a Python loop or in a `lax.scan`.

Imports nothing of the package beside the benchmark: its start and its memory are stock Flax's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax import lax

from fmnist_jax.benchmark.candidates import Go, Implementation, network_tasks, random_images
from fmnist_jax.benchmark.candidates.machine import on_jax
from fmnist_jax.benchmark.problem import CLASSES, EVAL_BATCH, Architecture, Problem

_Batch = tuple[Any, Any]  # images and labels


def make(problem: Problem, variant: str) -> Implementation:
    """Returns the implementation; `variant` is `"loop"` or `"scan"`."""
    trainer = _Trainer(problem, scan=variant == "scan")
    parameters = sum(leaf.size for leaf in jax.tree.leaves(nnx.state(trainer.model, nnx.Param)))
    return on_jax(network_tasks(trainer.train, trainer.evaluate, problem.batch_size), parameters)


class Network(nnx.Module):
    """The architecture in Flax's own layers, its parameters named as ours are."""

    def __init__(self, architecture: Architecture, *, rngs: nnx.Rngs):
        layers = architecture.conv_layers()
        for number, layer in enumerate(layers, start=1):
            size, padding = layer.conv.size, layer.conv.padding
            conv = nnx.Conv(layer.fan_in, layer.conv.features, (size, size), padding=padding, rngs=rngs)
            setattr(self, f"conv{number}", conv)
        self.pools = tuple(layer.conv.pool for layer in layers)
        *hidden, logits = architecture.dense_layers()
        self.hidden = nnx.Linear(hidden[0].fan_in, architecture.hidden, rngs=rngs) if hidden else None
        self.dropout = nnx.Dropout(architecture.dropout, rngs=rngs)
        self.logits = nnx.Linear(logits.fan_in, CLASSES, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        for number, pool in enumerate(self.pools, start=1):
            x = nnx.relu(getattr(self, f"conv{number}")(x))
            x = nnx.max_pool(x, (2, 2), (2, 2)) if pool else x
        x = x.reshape(x.shape[0], -1)
        if self.hidden is not None:
            x = self.dropout(nnx.relu(self.hidden(x)))
        return self.logits(x)


class _Trainer:
    """The model with its optimizer and metrics, and the same model in evaluation mode."""

    def __init__(self, problem: Problem, scan: bool):
        self.scan, self.repeated = scan, _scanned if scan else _looped
        self.batch_size, rate = problem.batch_size, problem.learning_rate
        adam = problem.optimizer == "adam"
        update = optax.adam(rate, eps=1e-7) if adam else optax.rmsprop(rate, decay=0.9, eps=1e-7)
        self.model = Network(problem.architecture, rngs=nnx.Rngs(0))
        self.optimizer = nnx.Optimizer(self.model, update, wrt=nnx.Param)
        self.metrics = nnx.MultiMetric(accuracy=nnx.metrics.Accuracy(), loss=nnx.metrics.Average("loss"))
        self.eval_model = nnx.view(self.model, deterministic=True)
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


def _loss(model: Network, batch: _Batch) -> tuple[jax.Array, jax.Array]:
    images, labels = batch
    logits = model(images[..., None].astype(jnp.float32) / 255)
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean(), logits


@nnx.jit
def _train_step(model: Network, optimizer: nnx.Optimizer, metrics: nnx.MultiMetric, batch: _Batch) -> None:
    (loss, logits), gradients = nnx.value_and_grad(_loss, has_aux=True)(model, batch)
    metrics.update(loss=loss, logits=logits, labels=batch[1])
    optimizer.update(model, gradients)


@nnx.jit
def _eval_step(model: Network, metrics: nnx.MultiMetric, batch: _Batch) -> None:
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
