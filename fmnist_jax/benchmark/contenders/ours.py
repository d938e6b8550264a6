"""fmnist_jax: one member by the program that `scripts/train.py` runs, or a population of them."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from fmnist_jax.benchmark.architecture import Problem
from fmnist_jax.benchmark.contenders import jax_process
from fmnist_jax.benchmark.task import EVAL_BATCH, Contender, Go, network_tasks, random_images
from fmnist_jax.config import default_config
from fmnist_jax.data import Dataset, Split
from fmnist_jax.models import overview
from fmnist_jax.train.chunk import Chunk, Pending
from fmnist_jax.train.population import Population
from fmnist_jax.train.run import make_run
from fmnist_jax.train.state import member_of


def make(problem: Problem, variant: str) -> Contender:
    """Returns the contender; every member of a population has a batch of its own.

    **Arguments:**

    - `variant`: `"vmap 8"`, or `"loop 8"`, for a population of eight by that strategy; empty for a run alone.
    """
    strategy, members = variant.split() if variant else ("loop", "1")
    trainer = _Trainer(problem, strategy, int(members))
    return Contender(
        network_tasks(trainer.train, trainer.evaluate, problem.batch_size, len(trainer.members)),
        parameters=trainer.parameters,
        device=jax_process.device(),
        versions=jax_process.versions(),
        device_memory=jax_process.device_memory,
    )


class _Trainer:
    def __init__(self, problem: Problem, strategy: str, members: int):
        self._config, self._strategy = _config(problem), strategy
        member = member_of(self._config)
        self.members = [member._replace(seed=jnp.uint32(seed)) for seed in range(members)]
        run = make_run(self._config, problem.batch_size)
        self.parameters = overview.count(jax.eval_shape(run.init, member).params)

    def train(self, batches: int) -> Go:
        chunk = self._begin(train=batches * self._config.train.batch_size)
        return lambda: _finish(chunk.train(range(len(self.members))))

    def evaluate(self, batches: int) -> Go:
        chunk = self._begin(val=batches * EVAL_BATCH)
        return lambda: _finish(chunk.evaluate("val", range(len(self.members))))

    def _begin(self, train: int = 0, val: int = 0) -> Chunk:
        """The members at their beginning, with so many examples."""
        splits = [Split(*random_images(max(1, examples))) for examples in (train, val)]
        dataset = Dataset("random", splits[0], splits[1], splits[1], "in memory", {})
        return Population(self._config, dataset, strategy=self._strategy).begin(self.members)


def _finish(pending: Pending) -> None:
    pending.counts()


def _config(problem: Problem) -> ConfigDict:
    config = default_config()
    config.model.name = problem.model
    config.optimizer.name = problem.optimizer
    config.optimizer.learning_rate = problem.learning_rate
    config.train.batch_size = problem.batch_size
    config.train.eval_batch_size = EVAL_BATCH
    return config
