"""The run functions: training as pure functions over a member, for the caller to jit, vmap and shard.

`jit(epoch)` is one run, `jit(vmap(epoch))` a population; under a mesh with a batch axis
(`fmnist_jax.runtime.batch_sharding`) each batch of a run is sharded over devices. All randomness derives from the
member's seed by `fold_in` of purpose and step, so nothing depends on where a run was stopped and resumed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax import lax
from ml_collections import ConfigDict

from fmnist_jax import models, optim
from fmnist_jax.data.device import DeviceSplit, normalise
from fmnist_jax.errors import ConfigError
from fmnist_jax.optim import schedules
from fmnist_jax.runtime import batch_sharding
from fmnist_jax.train import batches
from fmnist_jax.train.metrics import MetricSums, batch_metrics, merge
from fmnist_jax.train.state import Member, TrainState

# What a key is for; folded into the run's key first.
_INITIALISE, _SHUFFLE, _DROPOUT = range(3)


@dataclasses.dataclass(frozen=True)
class Run:
    """Pure functions of a run.

    **Attributes:**

    - `init(member) -> state`.
    - `epoch(state, member, train) -> (state, counts)`: one pass over the training split. Its counts are those of the
      batches as they were trained on: before their step, dropout on.
    - `evaluate(state, split) -> counts`: every example of the split once, dropout off.
    - `predict(state, images) -> probabilities`: `uint8[n, 28, 28]` to `float32[n, 10]`.
    - `learning_rate(member, step)`: the rate of the 0-based step.
    - `steps_per_epoch`, `total_steps`.
    """

    init: Callable[[Member], TrainState]
    epoch: Callable[[TrainState, Member, DeviceSplit], tuple[TrainState, MetricSums]]
    evaluate: Callable[[TrainState, DeviceSplit], MetricSums]
    predict: Callable[[TrainState, jax.Array], jax.Array]
    learning_rate: Callable[[Member, jax.Array], jax.Array]
    steps_per_epoch: int
    total_steps: int


def make_run(config: ConfigDict, train_examples: int) -> Run:
    """Returns the run that the config describes, over `train_examples` training images.

    **Raises:** `ConfigError` for an unknown model, optimizer or schedule, or a schedule that does not fit the run.
    """
    return _Heart(config, train_examples).run()


def check_batch_size(config: ConfigDict, train_examples: int) -> None:
    """Raises `ConfigError` where a batch would hold more than all training images."""
    if config.train.batch_size > train_examples:
        raise ConfigError(
            f"config.train.batch_size must be at most {train_examples}, the number of training images, "
            f"not {config.train.batch_size}"
        )


class _Heart:
    """Holds what the functions of a run share: the model's structure, the schedule, the sizes. No arrays."""

    def __init__(self, config: ConfigDict, train_examples: int):
        models.check(config.model.name)
        optim.get(config.optimizer.name)
        self.config = config
        self.steps_per_epoch = batches.steps(train_examples, config.train.batch_size)
        self.total_steps = self.steps_per_epoch * config.train.epochs
        self.scale = schedules.make(
            **config.schedule, total_steps=self.total_steps, steps_per_epoch=self.steps_per_epoch
        )
        self.compute = models.ComputeConfig(jnp.dtype(config.precision), config.model.conv_algorithm)
        self.structure = nnx.graphdef(nnx.eval_shape(lambda: self._create(jax.random.key(0))))

    def run(self) -> Run:
        return Run(
            init=self.init,
            epoch=self.epoch,
            evaluate=self.evaluate,
            predict=self.predict,
            learning_rate=lambda member, step: member.hyperparameters["learning_rate"] * self.scale(step),
            steps_per_epoch=self.steps_per_epoch,
            total_steps=self.total_steps,
        )

    def init(self, member: Member) -> TrainState:
        key = jax.random.key(member.seed)
        model = self._create(jax.random.fold_in(key, _INITIALISE))
        params, model_state = _arrays(model)
        return TrainState(
            step=jnp.int32(0),
            rng=jax.random.key_data(key),
            params=params,
            model_state=model_state,
            opt_state=self._optimizer(member).init(params),
            ema=jax.tree.map(jnp.copy, params) if self.config.train.ema_decay else None,
        )

    def epoch(self, state: TrainState, member: Member, train: DeviceSplit) -> tuple[TrainState, MetricSums]:
        key = jax.random.fold_in(_key(state, _SHUFFLE), state.step)
        order = batches.shuffled(key, train.labels.shape[0], self.config.train.batch_size)

        def step(state: TrainState, batch: tuple[jax.Array, jax.Array]) -> tuple[TrainState, MetricSums]:
            rows, valid = batch_sharding.shard_batch(batch)
            return self._step(state, member, normalise(train.images[rows]), train.labels[rows], valid)

        state, counts = lax.scan(step, state, order)
        return state, merge(counts)

    def evaluate(self, state: TrainState, split: DeviceSplit) -> MetricSums:
        def score(_: None, batch: tuple[jax.Array, jax.Array]) -> tuple[None, MetricSums]:
            rows, valid = batch_sharding.shard_batch(batch)
            return None, batch_metrics(self._logits(state, split.images[rows]), split.labels[rows], valid)

        _, counts = lax.scan(score, None, batches.in_order(split.labels.shape[0], self._eval_batch(split.labels)))
        return merge(counts)

    def predict(self, state: TrainState, images: jax.Array) -> jax.Array:
        rows, _ = batches.in_order(images.shape[0], self._eval_batch(images))
        probabilities = lax.map(
            lambda batch: self._probabilities(state, images[batch_sharding.shard_batch(batch)]), rows
        )
        return probabilities.reshape(-1, probabilities.shape[-1])[: images.shape[0]]

    def _step(
        self, state: TrainState, member: Member, images: jax.Array, labels: jax.Array, valid: jax.Array
    ) -> tuple[TrainState, MetricSums]:
        dropout = jax.random.fold_in(_key(state, _DROPOUT), state.step)

        def loss(params: Any) -> tuple[jax.Array, tuple[MetricSums, Any]]:
            model = nnx.merge(self.structure, params, state.model_state)
            logits = model(images, train=True, rngs=nnx.Rngs(dropout=dropout)).astype(jnp.float32)
            counts = batch_metrics(logits, labels, valid)
            return counts.loss / counts.examples, (counts, _arrays(model)[1])

        gradients, (counts, model_state) = jax.grad(loss, has_aux=True)(state.params)
        updates, opt_state = self._optimizer(member).update(gradients, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        state = state._replace(step=state.step + 1, params=params, model_state=model_state, opt_state=opt_state)
        return state._replace(ema=self._averaged(state)), counts

    def _averaged(self, state: TrainState) -> dict[str, Any] | None:
        """Moves the average on; its decay starts low, min(decay, (1 + t) / (10 + t)), so that it forgets the start."""
        if state.ema is None:
            return None
        decay = jnp.minimum(self.config.train.ema_decay, (1.0 + state.step) / (10.0 + state.step))
        newest = optim.eval_params(self.config.optimizer.name, state.opt_state, state.params)
        return jax.tree.map(lambda old, new: decay * old + (1.0 - decay) * new, state.ema, newest)

    def _logits(self, state: TrainState, images: jax.Array) -> jax.Array:
        params = state.ema
        if params is None:
            params = optim.eval_params(self.config.optimizer.name, state.opt_state, state.params)
        model = nnx.merge(self.structure, params, state.model_state)
        return model(normalise(images), train=False).astype(jnp.float32)

    def _probabilities(self, state: TrainState, images: jax.Array) -> jax.Array:
        return jax.nn.softmax(self._logits(state, images))

    def _create(self, key: jax.Array) -> nnx.Module:
        return models.create(self.config.model.name, nnx.Rngs(params=key), self.compute)

    def _optimizer(self, member: Member) -> optax.GradientTransformation:
        return optim.build(self.config.optimizer.name, member.hyperparameters, self.scale)

    def _eval_batch(self, rows: jax.Array) -> int:
        wanted, parts = min(self.config.train.eval_batch_size, rows.shape[0]), batch_sharding.num_shards()
        # Rounded up, so that the devices share it evenly: its rows beyond the last example are masked like any.
        return -(-wanted // parts) * parts


def _arrays(model: nnx.Module) -> tuple[dict[str, Any], dict[str, Any]]:
    """Splits a model's arrays into its trained parameters and the rest."""
    parts: Any = nnx.split(model, nnx.Param, ...)
    _, params, others = parts
    return nnx.to_pure_dict(params), nnx.to_pure_dict(others)


def _key(state: TrainState, purpose: int) -> jax.Array:
    return jax.random.fold_in(jax.random.wrap_key_data(state.rng), purpose)
