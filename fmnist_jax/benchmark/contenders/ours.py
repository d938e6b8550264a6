"""fmnist_jax as `scripts/train.py` runs it; with a number as the variant, a population of that many members."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from fmnist_jax.benchmark.architecture import Problem
from fmnist_jax.benchmark.contenders import jax_process
from fmnist_jax.benchmark.task import EVAL_BATCH, Contender, Go, network_tasks, random_images
from fmnist_jax.config import default_config
from fmnist_jax.data.dataset import Split
from fmnist_jax.data.device import DeviceSplit, put
from fmnist_jax.models import overview
from fmnist_jax.train.run import make_run
from fmnist_jax.train.state import member_of


def make(problem: Problem, variant: str) -> Contender:
    """Returns the contender; every member of a population has a batch of its own."""
    trainer = _Trainer(problem, int(variant) if variant else None)
    return Contender(
        network_tasks(trainer.train, trainer.evaluate, problem.batch_size, trainer.members or 1),
        parameters=trainer.parameters,
        device=jax_process.device(),
        versions=jax_process.versions(),
        device_memory=jax_process.device_memory,
    )


class _Trainer:
    def __init__(self, problem: Problem, members: int | None):
        self.members = members
        self._config = _config(problem)
        run, member = make_run(self._config, problem.batch_size), member_of(self._config)
        self.parameters = overview.count(jax.eval_shape(run.init, member).params)
        self._member = member if members is None else jax.tree.map(lambda leaf: jnp.stack([leaf] * members), member)
        self._state = jax.jit(self._mapped(run.init, 0))(self._member)

    def train(self, batches: int) -> Go:
        data = _random_split(batches * self._config.train.batch_size)
        run = make_run(self._config, len(data.labels))
        epoch = jax.jit(self._mapped(run.epoch, 0, 0, None), donate_argnums=0)

        def go() -> None:
            self._state, counts = epoch(self._state, self._member, data)
            jax.block_until_ready((self._state, counts))

        return go

    def evaluate(self, batches: int) -> Go:
        data = _random_split(batches * EVAL_BATCH)
        evaluate = jax.jit(self._mapped(make_run(self._config, len(data.labels)).evaluate, 0, None))
        return lambda: jax.block_until_ready(evaluate(self._state, data)) and None

    def _mapped(self, function: Callable[..., Any], *axes: int | None) -> Callable[..., Any]:
        return function if self.members is None else jax.vmap(function, in_axes=axes)


def _config(problem: Problem) -> ConfigDict:
    config = default_config()
    config.model.name = problem.model
    config.optimizer.name = problem.optimizer
    config.optimizer.learning_rate = problem.learning_rate
    config.train.batch_size = problem.batch_size
    config.train.eval_batch_size = EVAL_BATCH
    return config


def _random_split(examples: int) -> DeviceSplit:
    return put(Split(*random_images(examples)))
