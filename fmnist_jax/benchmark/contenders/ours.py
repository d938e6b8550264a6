"""fmnist_jax: one member by the program that `scripts/train.py` runs, or a population of them."""

from __future__ import annotations

import functools
from collections.abc import Mapping

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from fmnist_jax.benchmark.architecture import Problem
from fmnist_jax.benchmark.contenders import jax_process, precision, widened
from fmnist_jax.benchmark.task import (
    EVAL_BATCH,
    RUN,
    RUN_EPOCHS,
    TEST_EXAMPLES,
    TRAIN_EXAMPLES,
    Contender,
    Go,
    Task,
    network_tasks,
    random_images,
)
from fmnist_jax.config.schema import default_config
from fmnist_jax.data import Dataset, Split
from fmnist_jax.models import overview
from fmnist_jax.runtime import devices
from fmnist_jax.runtime.devices import use_all_cores
from fmnist_jax.train.data_parallel import DataParallelRun
from fmnist_jax.train.executor import MemberBatch
from fmnist_jax.train.metrics import MetricSums
from fmnist_jax.train.population import Population
from fmnist_jax.train.run import make_run
from fmnist_jax.train.state import member_of


def make(problem: Problem, variant: str) -> Contender:
    """Returns the contender; every member of a population has a batch of its own.

    **Arguments:**

    - `variant`: `"vmap 8"`, or `"loop 8"`, for a population of eight by that executor; empty for a run alone.
    """
    use_all_cores()
    precision.compute_in(problem.precision)
    config = config_of(problem)
    trainer: _Population | _Alone = _Population(config, *variant.split()) if variant else _Alone(config)
    run = make_run(config, problem.batch_size)
    return Contender(
        network_tasks(trainer.train, trainer.evaluate, problem.batch_size, trainer.members) | trainer.more_tasks(),
        parameters=overview.count(jax.eval_shape(run.init, member_of(config)).params),
        device=jax_process.device(),
        versions=jax_process.versions(),
        device_memory=jax_process.device_memory,
    )


class _Alone:
    """By the programs of the host loop, on the devices that it would take."""

    members = 1

    def __init__(self, config: ConfigDict):
        self._config = config

    def train(self, batches: int) -> Go:
        examples = batches * self._config.train.batch_size
        alone = self._alone(examples)
        data = alone.put_split(_split(examples))
        epoch, state = alone.programs.epoch(data), alone.programs.init()(alone.member)

        def go() -> None:
            nonlocal state
            state, counts = epoch(state, alone.member, data)
            _finish(counts)

        return go

    def evaluate(self, batches: int) -> Go:
        alone = self._alone(self._config.train.batch_size)
        data = alone.put_split(_split(batches * EVAL_BATCH))
        score, state = alone.programs.evaluate(data), alone.programs.init()(alone.member)
        return lambda: _finish(score(state, data))

    def more_tasks(self) -> dict[str, Task]:
        return {RUN: Task(self._run, TRAIN_EXAMPLES, RUN_EPOCHS, whole=True)}

    def _run(self, epochs: int) -> Go:
        """A run from its beginning, scored after each epoch, one synchronisation each; nothing is written."""
        alone = self._alone(TRAIN_EXAMPLES)
        train, val = alone.put_split(_split(TRAIN_EXAMPLES)), alone.put_split(_split(TEST_EXAMPLES))
        init, epoch, score = alone.programs.init(), alone.programs.epoch(train), alone.programs.evaluate(val)

        def go(epochs: int) -> None:
            state = init(alone.member)
            for _ in range(epochs):
                state, counts = epoch(state, alone.member, train)
                _finish((counts, score(state, val)))

        go(1)
        return functools.partial(go, epochs)

    def _alone(self, examples: int) -> DataParallelRun:
        return DataParallelRun(self._config, examples, devices.for_training(self._config))


class _Population:
    def __init__(self, config: ConfigDict, executor: str, members: str):
        self._config, self._executor, self.members = config, executor, int(members)

    def train(self, batches: int) -> Go:
        chunk = self._begin(train=batches * self._config.train.batch_size)
        return lambda: _finish(chunk.train(range(self.members)).counts())

    def evaluate(self, batches: int) -> Go:
        chunk = self._begin(val=batches * EVAL_BATCH)
        return lambda: _finish(chunk.evaluate("val", range(self.members)).counts())

    def more_tasks(self) -> dict[str, Task]:
        return {}

    def _begin(self, train: int = 0, val: int = 0) -> MemberBatch:
        """The members at their beginning, with so many examples."""
        splits = [_split(examples) for examples in (train, val)]
        dataset = Dataset("random", splits[0], splits[1], splits[1], "in memory", {})
        member = member_of(self._config)
        members = [member._replace(seed=jnp.uint32(seed)) for seed in range(self.members)]
        return Population(self._config, dataset, executor=self._executor).begin(members)


def _finish(counts: MetricSums | tuple[MetricSums, ...] | Mapping[int, MetricSums]) -> None:
    jax.device_get(counts)


def _split(examples: int) -> Split:
    return Split(*random_images(max(1, examples)))


def config_of(problem: Problem) -> ConfigDict:
    """Returns the config of the run that is timed."""
    config = default_config()
    config.model.name = problem.model or widened.registered(problem.architecture)
    config.model.conv_algorithm = problem.algorithm
    config.precision = "bfloat16" if problem.precision == "bfloat16" else "float32"
    config.optimizer.name = problem.optimizer
    config.optimizer.learning_rate = problem.learning_rate
    config.train.batch_size = problem.batch_size
    config.train.eval_batch_size = EVAL_BATCH
    return config
