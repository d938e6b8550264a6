"""The core API: a training run as pure functions over a member, for the caller to jit, vmap and shard.

`jit(epoch)` is one run, `jit(vmap(epoch))` a population; under a mesh with a batch axis
(`fmnist_jax.runtime.batch_sharding`) each batch of a run is sharded over devices. All randomness derives from the
member's seed by `fold_in` of purpose and step, so a resumed run equals the uninterrupted one.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from ml_collections import ConfigDict

from fmnist_jax import optim
from fmnist_jax.data import FASHION_MNIST, Description, augment
from fmnist_jax.data.augment import Augmentation
from fmnist_jax.data.device import DeviceSplit
from fmnist_jax.data.transforms import halved
from fmnist_jax.errors import ConfigError
from fmnist_jax.optim import schedules
from fmnist_jax.runtime import batch_sharding
from fmnist_jax.train import batches, metrics, tta
from fmnist_jax.train.batches import MetricSums, batch_metrics, merge
from fmnist_jax.train.network import AUGMENT, SHUFFLE, STATISTICS, Evaluated, Member, Network, TrainState, key_for
from fmnist_jax.train.weights import Weights


@dataclasses.dataclass(frozen=True)
class Run:
    """Pure functions of a run.

    **Attributes:**

    - `init(member) -> state`.
    - `epoch(state, member, train) -> (state, sums)`: one pass over the training split. The metrics are those of the
      training batches: before their step, dropout on.
    - `evaluate(state, split) -> sums`: every example of the split once, dropout off.
    - `predict(state, images) -> probabilities`: images as in `data.Split` to `float32[n, classes]`.
    - `evaluated(state)`: what `evaluate` and `predict` use of the state.
    - `probabilities(evaluated, images) -> probabilities`: `predict` of a single batch.
    - `learning_rate(member, step)`: the rate of the 0-based step.
    - `steps_per_epoch`, `total_steps`.
    - `augmentation`: of the images that `epoch` trains on.
    - `estimate_statistics(state, train) -> state`: estimates the batch statistics of the evaluated parameters, for
      `evaluate` and `predict`; `None` unless the network has some and averaged parameters are evaluated.
    """

    init: Callable[[Member], TrainState]
    epoch: Callable[[TrainState, Member, DeviceSplit], tuple[TrainState, MetricSums]]
    evaluate: Callable[[TrainState, DeviceSplit], MetricSums]
    predict: Callable[[TrainState, jax.Array], jax.Array]
    evaluated: Callable[[TrainState], Evaluated]
    probabilities: Callable[[Evaluated, jax.Array], jax.Array]
    learning_rate: Callable[[Member, jax.Array], jax.Array]
    steps_per_epoch: int
    total_steps: int
    augmentation: Augmentation
    estimate_statistics: Callable[[TrainState, DeviceSplit], TrainState] | None = None

    def epoch_learning_rates(self, members: Sequence[Member]) -> np.ndarray:
        """Returns the rate of the last step of each epoch, `float32[members, epochs]`."""
        last_steps = np.arange(self.steps_per_epoch, self.total_steps + 1, self.steps_per_epoch) - 1
        stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *jax.device_get(list(members)))
        rates = jax.jit(jax.vmap(jax.vmap(self.learning_rate, (None, 0)), (0, None)))
        return np.asarray(rates(stacked, last_steps))


def member_of(config: ConfigDict) -> Member:
    """Returns the member that the config describes; raises `ConfigError` for hyperparameters that do not fit."""
    given, options = dict(config.optimizer.items()), dict(config.optimizer.options.items())
    name = given.pop("name")
    for key in options.keys() & given.keys():
        raise ConfigError(f"config.optimizer.options.{key} has a key of its own; set config.optimizer.{key}")
    del given["options"]
    numbers = optim.resolve(name, given | options)
    return Member(jnp.uint32(config.seed), {key: jnp.float32(value) for key, value in numbers.items()})


def make_run(
    config: ConfigDict,
    train_examples: int,
    description: Description = FASHION_MNIST,
    weights: Weights | None = None,
) -> Run:
    """Returns the run that the config describes, over `train_examples` training images of such data.

    **Arguments:**

    - `weights`: what `init` starts from, where it fits: what `load_weights(config.init_from)` returns. Without, all is
      initialised at random, whatever `config.init_from` says: no file is read here.

    **Raises:** `ConfigError` for an unknown model, optimizer, loss, metric, schedule or augmentation, one that does not
    fit the run or the data, or a batch larger than the training split.
    """
    batch_size, eval_batch_size = config.train.batch_size, config.train.eval_batch_size
    if batch_size > train_examples:
        raise ConfigError(
            f"config.train.batch_size must be at most {train_examples}, the number of training images, not {batch_size}"
        )
    steps_per_epoch = batches.num_batches(train_examples, batch_size)
    total_steps = steps_per_epoch * config.train.epochs
    scheduled = schedules.of(config.schedule, total_steps, steps_per_epoch)
    network = Network(config, scheduled, description, weights)
    logits = tta.averaged(network.logits, config.eval.tta)
    augmentation = augment.make(config, description.image_shape, description.num_classes)
    network.check_half_size(member_of(config))
    scored = metrics.checked(config.eval.metrics, description.num_classes)

    def epoch(state: TrainState, member: Member, train: DeviceSplit) -> tuple[TrainState, MetricSums]:
        def step(
            state: TrainState, batch: tuple[jax.Array, jax.Array], half: bool = False
        ) -> tuple[TrainState, MetricSums]:
            rows, valid = batch_sharding.shard_batch(batch)
            images, targets = seen(rows)
            images = halved(images) if half else images
            return network.step(state, member, images, train.labels[rows], valid, padded=padded, targets=targets)

        seen = augmentation.of_epoch(key_for(state, AUGMENT), state.step // steps_per_epoch, train)
        padded = train.labels.shape[0] % batch_size != 0
        key = jax.random.fold_in(key_for(state, SHUFFLE), state.step)
        order = batches.shuffled(key, train.labels.shape[0], batch_size)
        state, sums = _scan(step, state, order, config.train.half_size_epochs * steps_per_epoch)
        return state, merge(sums)

    def evaluate(state: TrainState, split: DeviceSplit) -> MetricSums:
        def score(_: None, batch: tuple[jax.Array, jax.Array]) -> tuple[None, MetricSums]:
            rows, valid = batch_sharding.shard_batch(batch)
            found, labels = logits(evaluated, split.images[rows]), split.labels[rows]
            return None, batch_metrics(found, labels, valid, network.loss(found, labels), scored)

        evaluated = network.evaluated(state)
        _, sums = lax.scan(score, None, _eval_batches(split.labels.shape[0], eval_batch_size))
        return merge(sums)

    def probabilities(evaluated: Evaluated, images: jax.Array) -> jax.Array:
        return jax.nn.softmax(logits(evaluated, images))

    def predict(state: TrainState, images: jax.Array) -> jax.Array:
        evaluated = network.evaluated(state)
        rows, _ = _eval_batches(images.shape[0], eval_batch_size)
        found = lax.map(lambda rows: probabilities(evaluated, images[batch_sharding.shard_batch(rows)]), rows)
        return found.reshape(-1, found.shape[-1])[: images.shape[0]]

    def estimate_statistics(state: TrainState, train: DeviceSplit) -> TrainState:
        key = jax.random.fold_in(key_for(state, STATISTICS), state.step)
        order, _ = batches.shuffled(key, train.labels.shape[0], batch_size)
        full = order[: max(1, train.labels.shape[0] // batch_size)]
        return network.estimate_statistics(state, full[: config.train.statistics_batches], train.images)

    def learning_rate(member: Member, step: jax.Array) -> jax.Array:
        return member.hyperparameters["learning_rate"] * scheduled.rate(step)

    return Run(
        network.init,
        epoch,
        evaluate,
        predict,
        network.evaluated,
        probabilities,
        learning_rate,
        steps_per_epoch,
        total_steps,
        augmentation,
        estimate_statistics if network.estimates_statistics(member_of(config)) else None,
    )


def _scan(
    step: Callable[..., tuple[TrainState, MetricSums]],
    state: TrainState,
    order: tuple[jax.Array, jax.Array],
    half_size_steps: int,
) -> tuple[TrainState, MetricSums]:
    """Scans an epoch's batches, with `half=True` in the epochs that begin before so many steps."""
    whole = functools.partial(lax.scan, step)
    if not half_size_steps:
        return whole(state, order)
    half = functools.partial(lax.scan, functools.partial(step, half=True))
    found: tuple[TrainState, MetricSums] = lax.cond(state.step < half_size_steps, half, whole, state, order)
    return found


def _eval_batches(examples: int, batch_size: int) -> tuple[jax.Array, jax.Array]:
    # Rounded up to a multiple of the devices; the rows beyond the last example are masked like any padding.
    shards = batch_sharding.num_shards()
    return batches.in_order(examples, batches.num_batches(min(batch_size, examples), shards) * shards)
