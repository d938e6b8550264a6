"""Stock Flax NNX: its own layers, a step as in its MNIST example, in a Python loop or in a `lax.scan`."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax import lax

from fmnist_jax.benchmark.architecture import Architecture, Problem
from fmnist_jax.benchmark.contenders import jax_process
from fmnist_jax.benchmark.task import EVAL_BATCH, Contender, Go, network_tasks, random_images
from fmnist_jax.models import overview

_Batch = tuple[jax.Array, jax.Array]


def make(problem: Problem, variant: str) -> Contender:
    """Returns the contender; `variant` is `"loop"` or `"scan"`."""
    trainer = _Scan(problem) if variant == "scan" else _Loop(problem)
    return Contender(
        network_tasks(trainer.train, trainer.evaluate, problem.batch_size),
        parameters=overview.count(nnx.state(trainer.model, nnx.Param)),
        device=jax_process.device(),
        versions=jax_process.versions(),
        device_memory=jax_process.device_memory,
    )


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
        self.hidden = nnx.Linear(*hidden[0], rngs=rngs) if hidden else None
        self.dropout = nnx.Dropout(architecture.dropout, rngs=rngs)
        self.logits = nnx.Linear(*logits, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        for number, pool in enumerate(self.pools, start=1):
            x = nnx.relu(getattr(self, f"conv{number}")(x))
            x = nnx.max_pool(x, (2, 2), (2, 2)) if pool else x
        x = x.reshape(x.shape[0], -1)
        if self.hidden is not None:
            x = self.dropout(nnx.relu(self.hidden(x)))
        return self.logits(x)


class _Trainer:
    """The model in training mode with its optimizer and metrics, the same model in evaluation mode, and their data."""

    def __init__(self, problem: Problem):
        self.batch_size = problem.batch_size
        self.model = Network(problem.architecture, rngs=nnx.Rngs(0))
        self.optimizer = nnx.Optimizer(self.model, _optimizer(problem), wrt=nnx.Param)
        self.metrics = nnx.MultiMetric(accuracy=nnx.metrics.Accuracy(), loss=nnx.metrics.Average("loss"))
        self.tester = nnx.view(self.model, deterministic=True)
        self.key = jax.random.key(0)

    def _shuffled(self, examples: int) -> jax.Array:
        self.key, key = jax.random.split(self.key)
        return jax.random.permutation(key, examples)


class _Loop(_Trainer):
    def train(self, batches: int) -> Go:
        data = _on_device(batches * self.batch_size)

        def go() -> None:
            for rows in jnp.split(self._shuffled(batches * self.batch_size), batches):
                _train_step(self.model, self.optimizer, self.metrics, (data[0][rows], data[1][rows]))
            jax.block_until_ready((nnx.state(self.model), self.metrics.compute()))

        return go

    def evaluate(self, batches: int) -> Go:
        images, labels = _on_device(batches * EVAL_BATCH)
        parts = list(zip(jnp.split(images, batches), jnp.split(labels, batches), strict=True))

        def go() -> None:
            for batch in parts:
                _eval_step(self.tester, self.metrics, batch)
            jax.block_until_ready(self.metrics.compute())

        return go


class _Scan(_Trainer):
    def train(self, batches: int) -> Go:
        data = _on_device(batches * self.batch_size)

        def go() -> None:
            rows = self._shuffled(batches * self.batch_size).reshape(batches, self.batch_size)
            _train_scan(self.model, self.optimizer, self.metrics, data, rows)
            jax.block_until_ready((nnx.state(self.model), self.metrics.compute()))

        return go

    def evaluate(self, batches: int) -> Go:
        images, labels = _on_device(batches * EVAL_BATCH)
        parts = images.reshape(batches, EVAL_BATCH, *images.shape[1:]), labels.reshape(batches, EVAL_BATCH)

        def go() -> None:
            _eval_scan(self.tester, self.metrics, parts)
            jax.block_until_ready(self.metrics.compute())

        return go


def _loss(model: Network, batch: _Batch) -> tuple[jax.Array, jax.Array]:
    images, labels = batch
    logits = model(images[..., None].astype(jnp.float32) / 255)
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean(), logits


def _step(model: Network, optimizer: nnx.Optimizer, metrics: nnx.MultiMetric, batch: _Batch) -> None:
    (loss, logits), gradients = nnx.value_and_grad(_loss, has_aux=True)(model, batch)
    metrics.update(loss=loss, logits=logits, labels=batch[1])
    optimizer.update(model, gradients)


def _score(model: Network, metrics: nnx.MultiMetric, batch: _Batch) -> None:
    loss, logits = _loss(model, batch)
    metrics.update(loss=loss, logits=logits, labels=batch[1])


_train_step, _eval_step = nnx.jit(_step), nnx.jit(_score)


@nnx.jit
def _train_scan(
    model: Network, optimizer: nnx.Optimizer, metrics: nnx.MultiMetric, data: _Batch, rows: jax.Array
) -> None:
    structure, state = nnx.split((model, optimizer, metrics))

    def body(state: Any, rows: jax.Array) -> tuple[Any, None]:
        parts = nnx.merge(structure, state)
        _step(*parts, (data[0][rows], data[1][rows]))
        return nnx.state(parts), None

    state, _ = lax.scan(body, state, rows)
    nnx.update((model, optimizer, metrics), state)


@nnx.jit
def _eval_scan(model: Network, metrics: nnx.MultiMetric, batches: _Batch) -> None:
    structure, state = nnx.split((model, metrics))

    def body(state: Any, batch: _Batch) -> tuple[Any, None]:
        parts = nnx.merge(structure, state)
        _score(*parts, batch)
        return nnx.state(parts), None

    state, _ = lax.scan(body, state, batches)
    nnx.update((model, metrics), state)


def _optimizer(problem: Problem) -> optax.GradientTransformation:
    if problem.optimizer == "adam":
        return optax.adam(problem.learning_rate, eps=1e-7)
    return optax.rmsprop(problem.learning_rate, decay=0.9, eps=1e-7)


def _on_device(examples: int) -> _Batch:
    images, labels = random_images(examples)
    return jnp.asarray(images), jnp.asarray(labels, jnp.int32)
