"""The core API: a training run as pure functions over a member, for the caller to jit, vmap and shard.

`jit(epoch)` is one run, `jit(vmap(epoch))` a population; under a mesh with a batch axis
(`fmnist_jax.runtime.batch_sharding`) each batch of a run is sharded over devices. All randomness derives from the
member's seed by `fold_in` of purpose and step, so a resumed run equals the uninterrupted one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax import lax
from ml_collections import ConfigDict

from fmnist_jax import models, optim
from fmnist_jax.data import FASHION_MNIST, Description
from fmnist_jax.data.device import DeviceSplit, normalise
from fmnist_jax.errors import ConfigError
from fmnist_jax.optim import schedules
from fmnist_jax.optim.schedules import Schedules
from fmnist_jax.runtime import batch_sharding
from fmnist_jax.train import batches
from fmnist_jax.train.batches import MetricSums, batch_metrics, merge

# The purpose of a key, folded into the run's key first.
_INITIALISE, _SHUFFLE, _DROPOUT = range(3)


class Member(NamedTuple):
    """One run among those that a compiled program serves: everything in which they may differ.

    **Attributes:**

    - `seed`: `uint32[]`, from which initialisation, data order and dropout derive.
    - `hyperparameters`: name -> `float32[]`, as `optim.resolve` names them.
    """

    seed: jax.Array
    hyperparameters: dict[str, jax.Array]


class TrainState(NamedTuple):
    """Everything that a run needs to resume exactly; a pytree of arrays.

    **Attributes:**

    - `step`: `int32[]`, steps done.
    - `rng`: `uint32[2]`, the data of the run's key. It never changes: keys of a step are folded from it and `step`.
    - `params`: trained arrays, nested by module name.
    - `model_state`: the model's other arrays (running batch statistics), nested likewise.
    - `opt_state`: optax's state.
    - `ema`: the moving average of the parameters; `None` without one.
    """

    step: jax.Array
    rng: jax.Array
    params: dict[str, Any]
    model_state: dict[str, Any]
    opt_state: Any
    ema: dict[str, Any] | None


@dataclasses.dataclass(frozen=True)
class Run:
    """Pure functions of a run.

    **Attributes:**

    - `init(member) -> state`.
    - `epoch(state, member, train) -> (state, sums)`: one pass over the training split. The metrics are those of the
      training batches: before their step, dropout on.
    - `evaluate(state, split) -> sums`: every example of the split once, dropout off.
    - `predict(state, images) -> probabilities`: images as in `data.Split` to `float32[n, classes]`.
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

    def epoch_learning_rates(self, members: Sequence[Member]) -> np.ndarray:
        """Returns the rate of the last step of each epoch, `float32[members, epochs]`."""
        last_steps = np.arange(self.steps_per_epoch, self.total_steps + 1, self.steps_per_epoch) - 1
        stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *jax.device_get(list(members)))
        rates = jax.jit(jax.vmap(jax.vmap(self.learning_rate, (None, 0)), (0, None)))
        return np.asarray(rates(stacked, last_steps))


def member_of(config: ConfigDict) -> Member:
    """Returns the member that the config describes; raises `ConfigError` for hyperparameters that do not fit."""
    given = {key: value for key, value in config.optimizer.items() if key != "name"}
    numbers = optim.resolve(config.optimizer.name, given)
    return Member(jnp.uint32(config.seed), {key: jnp.float32(value) for key, value in numbers.items()})


def make_run(config: ConfigDict, train_examples: int, description: Description = FASHION_MNIST) -> Run:
    """Returns the run that the config describes, over `train_examples` training images of such data.

    **Raises:** `ConfigError` for an unknown model, optimizer or schedule, a schedule that does not fit the run, or a
    batch larger than the training split.
    """
    models.check(config.model.name, description)
    optim.get(config.optimizer.name)
    batch_size, eval_batch_size = config.train.batch_size, config.train.eval_batch_size
    if batch_size > train_examples:
        raise ConfigError(
            f"config.train.batch_size must be at most {train_examples}, the number of training images, not {batch_size}"
        )
    steps_per_epoch = batches.num_batches(train_examples, batch_size)
    total_steps = steps_per_epoch * config.train.epochs
    scheduled = schedules.of(config.schedule, total_steps, steps_per_epoch)
    network = _Network.of(config, scheduled, description)

    def epoch(state: TrainState, member: Member, train: DeviceSplit) -> tuple[TrainState, MetricSums]:
        def step(state: TrainState, batch: tuple[jax.Array, jax.Array]) -> tuple[TrainState, MetricSums]:
            rows, valid = batch_sharding.shard_batch(batch)
            return network.step(state, member, normalise(train.images[rows]), train.labels[rows], valid)

        key = jax.random.fold_in(_key(state, _SHUFFLE), state.step)
        state, sums = lax.scan(step, state, batches.shuffled(key, train.labels.shape[0], batch_size))
        return state, merge(sums)

    def evaluate(state: TrainState, split: DeviceSplit) -> MetricSums:
        def score(_: None, batch: tuple[jax.Array, jax.Array]) -> tuple[None, MetricSums]:
            rows, valid = batch_sharding.shard_batch(batch)
            return None, batch_metrics(network.logits(state, split.images[rows]), split.labels[rows], valid)

        _, sums = lax.scan(score, None, _eval_batches(split.labels.shape[0], eval_batch_size))
        return merge(sums)

    def predict(state: TrainState, images: jax.Array) -> jax.Array:
        def probabilities(rows: jax.Array) -> jax.Array:
            return jax.nn.softmax(network.logits(state, images[batch_sharding.shard_batch(rows)]))

        rows, _ = _eval_batches(images.shape[0], eval_batch_size)
        found = lax.map(probabilities, rows)
        return found.reshape(-1, found.shape[-1])[: images.shape[0]]

    def learning_rate(member: Member, step: jax.Array) -> jax.Array:
        return member.hyperparameters["learning_rate"] * scheduled.rate(step)

    return Run(network.init, epoch, evaluate, predict, learning_rate, steps_per_epoch, total_steps)


@dataclasses.dataclass(frozen=True)
class _Network:
    """A network with its optimizer: what one step and one batch need. Holds no arrays."""

    create: Callable[[jax.Array], nnx.Module]
    structure: nnx.GraphDef[nnx.Module]
    optimizer: str
    schedules: schedules.Schedules
    ema_decay: float

    @classmethod
    def of(cls, config: ConfigDict, schedules: Schedules, description: Description) -> _Network:
        compute = models.ComputeConfig(jnp.dtype(config.precision), config.model.conv_algorithm)

        def create(key: jax.Array) -> nnx.Module:
            return models.create(config.model.name, nnx.Rngs(params=key), compute, description)

        structure = nnx.graphdef(nnx.eval_shape(lambda: create(jax.random.key(0))))
        return cls(create, structure, config.optimizer.name, schedules, config.train.ema_decay)

    def init(self, member: Member) -> TrainState:
        key = jax.random.key(member.seed)
        params, model_state = _arrays(self.create(jax.random.fold_in(key, _INITIALISE)))
        return TrainState(
            step=jnp.int32(0),
            rng=jax.random.key_data(key),
            params=params,
            model_state=model_state,
            opt_state=self._transformation(member).init(params),
            ema=jax.tree.map(jnp.copy, params) if self.ema_decay else None,
        )

    def step(
        self, state: TrainState, member: Member, images: jax.Array, labels: jax.Array, valid: jax.Array
    ) -> tuple[TrainState, MetricSums]:
        dropout = jax.random.fold_in(_key(state, _DROPOUT), state.step)

        def loss(params: Any) -> tuple[jax.Array, tuple[MetricSums, Any]]:
            model = nnx.merge(self.structure, params, state.model_state)
            logits = model(images, train=True, rngs=nnx.Rngs(dropout=dropout)).astype(jnp.float32)
            sums = batch_metrics(logits, labels, valid)
            return sums.loss / sums.examples, (sums, _arrays(model)[1])

        gradients, (sums, model_state) = jax.grad(loss, has_aux=True)(state.params)
        updates, opt_state = self._transformation(member).update(gradients, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        state = state._replace(step=state.step + 1, params=params, model_state=model_state, opt_state=opt_state)
        return state._replace(ema=self._updated_ema(state)), sums

    def logits(self, state: TrainState, images: jax.Array) -> jax.Array:
        """Returns the logits `float32[batch, classes]` of images, dropout off, at the averaged parameters if any."""
        params = self._eval_params(state) if state.ema is None else state.ema
        model = nnx.merge(self.structure, params, state.model_state)
        return model(normalise(images), train=False).astype(jnp.float32)

    def _updated_ema(self, state: TrainState) -> dict[str, Any] | None:
        """The decay starts low, min(decay, (1 + t) / (10 + t)), so that the average forgets the initial parameters."""
        if state.ema is None:
            return None
        decay = jnp.minimum(self.ema_decay, (1.0 + state.step) / (10.0 + state.step))
        return jax.tree.map(lambda old, new: decay * old + (1.0 - decay) * new, state.ema, self._eval_params(state))

    def _eval_params(self, state: TrainState) -> dict[str, Any]:
        return dict(optim.eval_params(self.optimizer, state.opt_state, state.params))

    def _transformation(self, member: Member) -> optax.GradientTransformation:
        return optim.build(self.optimizer, member.hyperparameters, *self.schedules)


def _eval_batches(examples: int, batch_size: int) -> tuple[jax.Array, jax.Array]:
    # Rounded up to a multiple of the devices; the rows beyond the last example are masked like any padding.
    shards = batch_sharding.num_shards()
    return batches.in_order(examples, batches.num_batches(min(batch_size, examples), shards) * shards)


def _arrays(model: nnx.Module) -> tuple[dict[str, Any], dict[str, Any]]:
    """Splits a model's arrays into its trained parameters and the rest."""
    parts: Any = nnx.split(model, nnx.Param, ...)
    _, params, others = parts
    return nnx.to_pure_dict(params), nnx.to_pure_dict(others)


def _key(state: TrainState, purpose: int) -> jax.Array:
    return jax.random.fold_in(jax.random.wrap_key_data(state.rng), purpose)
