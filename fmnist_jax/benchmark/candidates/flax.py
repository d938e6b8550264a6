"""Stock Flax NNX: its own layers, a step as in its MNIST example, in a Python loop or in a `lax.scan`.

Imports nothing of the package beside the benchmark: its start and its memory are stock Flax's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax import lax

from fmnist_jax.benchmark.candidates import Go, Implementation, network_tasks, random_images
from fmnist_jax.benchmark.candidates.machine import on_jax
from fmnist_jax.benchmark.problem import CLASSES, EVAL_BATCH, Architecture, Problem

_Batch = tuple[jax.Array, jax.Array]


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
        self.scan, self.batch_size = scan, problem.batch_size
        self.model = Network(problem.architecture, rngs=nnx.Rngs(0))
        self.optimizer = nnx.Optimizer(self.model, _optimizer(problem), wrt=nnx.Param)
        self.metrics = nnx.MultiMetric(accuracy=nnx.metrics.Accuracy(), loss=nnx.metrics.Average("loss"))
        self.eval_model = nnx.view(self.model, deterministic=True)
        self.key = jax.random.key(0)

    def train(self, batches: int) -> Go:
        data = _on_device(batches * self.batch_size)
        train = _train_scan if self.scan else _train_loop

        def go() -> None:
            self.key, key = jax.random.split(self.key)
            rows = jax.random.permutation(key, batches * self.batch_size).reshape(batches, self.batch_size)
            train(self.model, self.optimizer, self.metrics, data, rows)
            jax.block_until_ready((nnx.state(self.model), self.metrics.compute()))

        return go

    def evaluate(self, batches: int) -> Go:
        images, labels = _on_device(batches * EVAL_BATCH)
        stacked = images.reshape(batches, EVAL_BATCH, *images.shape[1:]), labels.reshape(batches, EVAL_BATCH)
        data: Any = stacked if self.scan else list(zip(*stacked, strict=True))
        evaluate = _eval_scan if self.scan else _eval_loop

        def go() -> None:
            evaluate(self.eval_model, self.metrics, data)
            jax.block_until_ready(self.metrics.compute())

        return go


def _on_device(examples: int) -> _Batch:
    images, labels = random_images(examples)
    return jnp.asarray(images), jnp.asarray(labels, jnp.int32)


def _optimizer(problem: Problem) -> optax.GradientTransformation:
    if problem.optimizer == "adam":
        return optax.adam(problem.learning_rate, eps=1e-7)
    return optax.rmsprop(problem.learning_rate, decay=0.9, eps=1e-7)


def _loss(model: Network, batch: _Batch) -> tuple[jax.Array, jax.Array]:
    images, labels = batch
    logits = model(images[..., None].astype(jnp.float32) / 255)
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean(), logits


def _train_step(model: Network, optimizer: nnx.Optimizer, metrics: nnx.MultiMetric, batch: _Batch) -> None:
    (loss, logits), gradients = nnx.value_and_grad(_loss, has_aux=True)(model, batch)
    metrics.update(loss=loss, logits=logits, labels=batch[1])
    optimizer.update(model, gradients)


def _eval_step(model: Network, metrics: nnx.MultiMetric, batch: _Batch) -> None:
    loss, logits = _loss(model, batch)
    metrics.update(loss=loss, logits=logits, labels=batch[1])


_jitted_train_step, _jitted_eval_step = nnx.jit(_train_step), nnx.jit(_eval_step)


def _train_loop(
    model: Network, optimizer: nnx.Optimizer, metrics: nnx.MultiMetric, data: _Batch, rows: jax.Array
) -> None:
    for batch in rows:
        _jitted_train_step(model, optimizer, metrics, (data[0][batch], data[1][batch]))


def _eval_loop(model: Network, metrics: nnx.MultiMetric, batches: list[_Batch]) -> None:
    for batch in batches:
        _jitted_eval_step(model, metrics, batch)


@nnx.jit
def _train_scan(
    model: Network, optimizer: nnx.Optimizer, metrics: nnx.MultiMetric, data: _Batch, rows: jax.Array
) -> None:
    def step(model: Network, optimizer: nnx.Optimizer, metrics: nnx.MultiMetric, rows: jax.Array) -> None:
        _train_step(model, optimizer, metrics, (data[0][rows], data[1][rows]))

    _scan(step, (model, optimizer, metrics), rows)


@nnx.jit
def _eval_scan(model: Network, metrics: nnx.MultiMetric, batches: _Batch) -> None:
    _scan(_eval_step, (model, metrics), batches)


def _scan(step: Callable[..., None], graph: tuple[Any, ...], batches: Any) -> None:
    structure, state = nnx.split(graph)

    def body(state: Any, batch: Any) -> tuple[Any, None]:
        parts = nnx.merge(structure, state)
        step(*parts, batch)
        return nnx.state(parts), None

    state, _ = lax.scan(body, state, batches)
    nnx.update(graph, state)
