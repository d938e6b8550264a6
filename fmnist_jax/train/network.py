"""A network with its optimizer: what one step and one batch of a run need, as pure functions of its state."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from ml_collections import ConfigDict

from fmnist_jax import models, optim
from fmnist_jax.data import Description
from fmnist_jax.data.device import normalise
from fmnist_jax.errors import ConfigError
from fmnist_jax.optim.schedules import Schedules
from fmnist_jax.runtime import batch_sharding
from fmnist_jax.runtime.user_code import user_code
from fmnist_jax.train import losses
from fmnist_jax.train.batches import MetricSums, batch_metrics
from fmnist_jax.train.weights import Weights, put_into

# The purpose of a key, folded into the run's key first.
INITIALISE, SHUFFLE, DROPOUT, STATISTICS, AUGMENT = range(5)


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
    - `eval_model_state`: like `model_state`, with batch statistics estimated at the parameters that are evaluated;
      `None` where these are the trained ones.
    """

    step: jax.Array
    rng: jax.Array
    params: dict[str, Any]
    model_state: dict[str, Any]
    opt_state: Any
    ema: dict[str, Any] | None
    eval_model_state: dict[str, Any] | None = None


class Evaluated(NamedTuple):
    """The arrays that a network is evaluated with: `params` and `model_state`, nested as in `TrainState`."""

    params: dict[str, Any]
    model_state: dict[str, Any]


def key_for(state: TrainState, purpose: int) -> jax.Array:
    """Returns the key of the run for a purpose."""
    return jax.random.fold_in(jax.random.wrap_key_data(state.rng), purpose)


class Network:
    """The network, the loss and the optimizer of a config. Holds no arrays.

    **Arguments:**

    - `schedules`: of the learning rate and of the weight decay.
    - `description`: of the data.
    - `weights`: to start from, where they fit; the rest is initialised.

    **Attributes:**

    - `loss`: from logits and labels to `float32[batch]`; see `losses.make`.

    **Raises:** `ConfigError` for an unknown model, loss or optimizer, or one that does not work with the data.
    """

    def __init__(
        self, config: ConfigDict, schedules: Schedules, description: Description, weights: Weights | None = None
    ):
        compute = models.ComputeConfig(jnp.dtype(config.precision), config.model.conv_algorithm)
        options = config.model.options.to_dict()
        batch_size = config.train.batch_size
        self._model = models.FunctionalModel(config.model.name, compute, options, description, batch_size)
        self._weights, self._name, self._description = weights, config.model.name, description
        self._half_size = config.train.half_size_epochs > 0
        self.loss = losses.make(config.loss, description.num_classes)
        optim.get(config.optimizer.name)
        self._optimizer, self._schedules, self._ema_decay = config.optimizer.name, schedules, config.train.ema_decay

    def init(self, member: Member) -> TrainState:
        """Returns the state before the first step; raises `ConfigError` where the weights fit no parameter."""
        key = jax.random.key(member.seed)
        params, model_state = self._model.init(jax.random.fold_in(key, INITIALISE))
        if self._weights is not None:
            params, model_state = put_into(self._weights, params, model_state)
        state = TrainState(
            step=jnp.int32(0),
            rng=jax.random.key_data(key),
            params=params,
            model_state=model_state,
            opt_state=self._transformation(member).init(params),
            ema=jax.tree.map(jnp.copy, params) if self._ema_decay else None,
        )
        averaged = state.ema is not None or self._eval_params(state) is not params
        if averaged and self._model.has_statistics:
            state = state._replace(eval_model_state=jax.tree.map(jnp.copy, model_state))
        return state

    def check_half_size(self, member: Member) -> None:
        """Raises `ConfigError` where the network is to be trained on images of half the size and cannot be."""
        if not self._half_size:
            return
        height, width, channels = self._description.image_shape
        key = "config.train.half_size_epochs"
        if height % 2 or width % 2:
            raise ConfigError(f"{key} must be 0 for images of {height}x{width} pixels, which cannot be halved")
        images = jnp.zeros((1, height // 2, width // 2, channels), jnp.float32)
        labels, valid = jnp.zeros(1, jnp.int32), jnp.ones(1, bool)
        with user_code(f"model {self._name!r}", f"works on images of one size only; set {key} to 0"):
            jax.eval_shape(lambda: self.step(self.init(member), member, images, labels, valid))

    def estimates_statistics(self, member: Member) -> bool:
        """Returns whether averaged parameters are evaluated, in a network with batch statistics."""
        return self._model.has_statistics and jax.eval_shape(self.init, member).eval_model_state is not None

    def step(
        self,
        state: TrainState,
        member: Member,
        images: jax.Array,
        labels: jax.Array,
        valid: jax.Array,
        padded: bool = True,
        targets: jax.Array | None = None,
    ) -> tuple[TrainState, MetricSums]:
        """Returns the state after one step, and the metrics of the batch before it, dropout on.

        **Arguments:**

        - `images`: `float32[batch, height, width, channels]`; `labels`: `int32[batch]`.
        - `valid`: `bool[batch]`, false for padding; `padded`: whether it is false anywhere.
        - `targets`: `float32[batch, classes]`, of the loss, where images are mixed; `None`: the labels.
        """
        key = jax.random.fold_in(key_for(state, DROPOUT), state.step)

        def loss(params: Any) -> tuple[jax.Array, tuple[MetricSums, Any]]:
            mask = valid if padded else None
            logits, model_state = self._model.train(params, state.model_state, images, key, mask)
            losses = self.loss(logits, labels if targets is None else targets)
            sums = batch_metrics(logits, labels, valid, losses, {})
            return sums.loss / sums.examples, (sums, model_state)

        (value, (sums, model_state)), gradients = jax.value_and_grad(loss, has_aux=True)(state.params)
        # optax's extra arguments; a function that no transformation calls is not traced, so costs nothing.
        extra = {"value": value, "grad": gradients, "value_fn": lambda params: loss(params)[0]}
        update = self._transformation(member).update
        updates, opt_state = update(gradients, state.opt_state, state.params, **extra)
        params = optax.apply_updates(state.params, updates)
        state = state._replace(step=state.step + 1, params=params, model_state=model_state, opt_state=opt_state)
        return state._replace(ema=self._updated_ema(state)), sums

    def evaluated(self, state: TrainState) -> Evaluated:
        """Returns what is evaluated: the averaged parameters if any, with the other state that belongs to them."""
        model_state = state.model_state if state.eval_model_state is None else state.eval_model_state
        return Evaluated(self._eval_params(state) if state.ema is None else state.ema, model_state)

    def logits(self, evaluated: Evaluated, images: jax.Array) -> jax.Array:
        """Returns the logits `float32[batch, classes]` of `uint8` images."""
        return self._model.evaluate(evaluated.params, evaluated.model_state, normalise(images))

    def estimate_statistics(self, state: TrainState, batches: jax.Array, images: jax.Array) -> TrainState:
        """Returns the state with the batch statistics that its evaluated parameters have, averaged over batches.

        The running averages of training belong to the trained parameters; those of averaged parameters are estimated
        anew (Izmailov et al. 2018, "Averaging Weights Leads to Wider Optima", section 3.2).

        **Arguments:**

        - `batches`: `int32[number, batch]`, rows of `images`, `uint8[n, ...]`.
        """

        def images_of(rows: jax.Array) -> jax.Array:
            return normalise(images[batch_sharding.shard_batch(rows)])

        params = self.evaluated(state).params
        estimated = self._model.estimate_statistics(params, state.model_state, batches, images_of)
        return state._replace(eval_model_state=estimated)

    def _updated_ema(self, state: TrainState) -> dict[str, Any] | None:
        """The decay starts low, min(decay, (1 + t) / (10 + t)), so that the average forgets the initial parameters."""
        if state.ema is None:
            return None
        decay = jnp.minimum(self._ema_decay, (1.0 + state.step) / (10.0 + state.step))
        return jax.tree.map(lambda old, new: decay * old + (1.0 - decay) * new, state.ema, self._eval_params(state))

    def _eval_params(self, state: TrainState) -> dict[str, Any]:
        found: dict[str, Any] = optim.eval_params(self._optimizer, state.opt_state, state.params)
        return found

    def _transformation(self, member: Member) -> optax.GradientTransformationExtraArgs:
        return optim.build(self._optimizer, member.hyperparameters, *self._schedules, self._description.num_classes)
