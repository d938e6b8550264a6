"""A run timed from images in memory to its score, compiled once for all seeds."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import time
from collections.abc import Callable, Iterator

import jax
import numpy as np
from ml_collections import ConfigDict

from fmnist_jax.data import Dataset, Split
from fmnist_jax.data.device import on_device
from fmnist_jax.runtime import devices
from fmnist_jax.train.executor import PendingMetrics
from fmnist_jax.train.sharded import DataParallelRun, SingleProgramBatch

_ALONE = (0,)


@dataclasses.dataclass(frozen=True)
class Outcome:
    """A timed run.

    **Attributes:**

    - `accuracy`: on the scored split; of a run that `diverged`, that of guessing.
    - `train_seconds`: of initialisation, training, estimating batch statistics and scoring; `cpu_seconds`: of all cores
      meanwhile.
    - `compile_seconds`: of the programs, before and apart.
    """

    accuracy: float
    diverged: bool
    train_seconds: float
    cpu_seconds: float
    compile_seconds: float


class TimedRun:
    """The run of a config on a data set, scored on its split `scored`.

    **Attributes:**

    - `run`: its functions.

    **Raises:** `ConfigError` as `DataParallelRun` does.
    """

    def __init__(self, config: ConfigDict, dataset: Dataset, scored: str):
        on_devices = devices.for_training(config)
        self.run = DataParallelRun(config, len(dataset.train), on_devices, dataset.description)
        self._dataset, self._scored, self._epochs = dataset, scored, config.train.epochs
        self._on_device = on_device(dataset, self.run.sharding)  # kept there while this exists

    def compile(self) -> float:
        """Compiles what a run needs, and copies its data to the devices; returns the seconds of compilation."""
        batch, _ = self._train(self._dataset, seed=0, epochs=0)
        batch.prepare([self._scored])
        jax.block_until_ready([self._on_device[name] for name in ("train", self._scored)])
        return self.run.programs.seconds

    def warm_up(self) -> None:
        """Runs an epoch and a scoring on random images, as the first one may be slower than others."""
        rng = np.random.default_rng(0)

        def noise(split: Split) -> Split:
            return Split(rng.integers(0, 256, split.images.shape, np.uint8), rng.permutation(split.labels))

        train, scored = noise(self._dataset.train), noise(getattr(self._dataset, self._scored))
        random = dataclasses.replace(self._dataset, train=train, val=scored, test=scored)
        batch, _ = self._train(random, seed=0, epochs=1)
        batch.evaluate(self._scored, _ALONE).result()

    def __call__(self, seed: int, before_score: Callable[[float], None] = lambda seconds: None) -> Outcome:
        """Trains with a seed and scores once.

        **Arguments:**

        - `before_score`: called in between, off the clock, with the seconds of training.
        """
        clock = _Clock()
        with clock.running():
            batch, trained = self._train(self._dataset, seed, self._epochs)
            jax.block_until_ready(batch.state)
        before_score(clock.seconds)
        with clock.running():
            sums = batch.evaluate(self._scored, _ALONE).result()[0]
        losses = [each.means()["loss"] for each in (trained[-1].result()[0], sums)]
        diverged = not all(map(math.isfinite, losses))
        accuracy = 1 / self._dataset.description.num_classes if diverged else sums.means()["accuracy"]
        return Outcome(accuracy, diverged, clock.seconds, clock.cpu_seconds, self.run.programs.seconds)

    def _train(self, dataset: Dataset, seed: int, epochs: int) -> tuple[SingleProgramBatch, list[PendingMetrics]]:
        """Starts a run's training, and the estimate of its batch statistics; returns the metrics of its epochs, too."""
        member = self.run.with_seed(seed)
        batch = self.run.begin(dataset, self.run.programs.init()(member), member)
        trained = [batch.train(_ALONE) for _ in range(epochs)]
        batch.estimate_statistics(_ALONE)
        return batch, trained


class _Clock:
    """Adds up wall seconds, and CPU seconds of this process, while running."""

    def __init__(self) -> None:
        self.seconds, self.cpu_seconds = 0.0, 0.0

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        wall, cpu = time.perf_counter(), time.process_time()
        yield
        self.seconds += time.perf_counter() - wall
        self.cpu_seconds += time.process_time() - cpu
