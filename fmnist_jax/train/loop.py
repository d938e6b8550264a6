"""The host loop: epochs on the device, one synchronisation each; records, checkpoints and signals between them."""

from __future__ import annotations

import contextlib
import os
import statistics
import time
from pathlib import Path
from typing import Any

import jax
from ml_collections import ConfigDict

from fmnist_jax import data
from fmnist_jax.config import schema as config_schema
from fmnist_jax.files.atomic import finite, write_json
from fmnist_jax.files.reader import WorkdirReader
from fmnist_jax.models import count_parameters, parameter_table
from fmnist_jax.runtime import devices
from fmnist_jax.train import writers
from fmnist_jax.train.checkpoints import Checkpoint, Checkpoints
from fmnist_jax.train.data_parallel import DataParallelRun
from fmnist_jax.train.epoch_record import diverged, epoch_record
from fmnist_jax.train.evaluation import write_evaluation_files
from fmnist_jax.train.interrupts import Interrupted, Interrupts
from fmnist_jax.train.manifest import manifest
from fmnist_jax.train.progress import EpochProgress
from fmnist_jax.train.workdir import Workdir


def train(
    config: ConfigDict, workdir: str | os.PathLike[str], config_file: str | os.PathLike[str] | None = None
) -> dict[str, Any]:
    """Trains what `config` describes in `workdir`, going on where an earlier call with the same config stopped.

    **Arguments:**

    - `config_file`: where `config` comes from. It is recorded in the manifest, so that `evaluate` can run it again for
      the networks and optimizers that it registers.

    **Returns:** the summary, as written to `summary.json`.

    **Raises:** `UserError` for whatever is wrong with the config, the data or the workdir, before anything is written;
    `Interrupted` after SIGINT or SIGTERM, with a checkpoint written.
    """
    config_schema.validate(config)
    dataset = data.load(config.data)
    session = _Session(config, dataset, Path(workdir))
    with Workdir(session.folder) as claimed:
        claimed.begin(config, session.manifest(config_file), dataset)
        finished = session.finished()
        if finished is not None:
            return finished
        with contextlib.closing(session.checkpoints()) as checkpoints:
            last = session.train(checkpoints)
        return session.finish(last)


class _Session:
    """One process's part of a run."""

    def __init__(self, config: ConfigDict, dataset: data.Dataset, folder: Path):
        self.config = config
        self.dataset = dataset
        self.folder = folder
        self.devices = devices.for_training(config)
        self.alone = DataParallelRun(config, len(dataset.train), self.devices)
        self.run, self.template = self.alone.run, self.alone.template
        self.compile_seconds = 0.0

    def manifest(self, config_file: str | os.PathLike[str] | None) -> dict[str, Any]:
        return manifest(
            self.config,
            self.alone.member,
            self.dataset,
            parameters=count_parameters(self.template.params),
            batch_devices=len(self.devices),
            config_file=config_file,
        )

    def checkpoints(self) -> Checkpoints:
        # Where the test set stands in for a validation split, nothing may be chosen by it: no best one is kept.
        keep_best = not self.dataset.validation_is_test
        keep = self.config.checkpoint.keep
        return Checkpoints(self.folder / "checkpoints", self.template, keep=keep, keep_best=keep_best)

    def finished(self) -> dict[str, Any] | None:
        """The summary, where an earlier process wrote it, the last thing that a run does; else `None`."""
        reader = WorkdirReader(self.folder, "delete it and run the command again")
        return reader.object("summary.json") if reader.has("summary.json") else None

    def train(self, checkpoints: Checkpoints) -> Checkpoint:
        """Trains the epochs that are left and returns the last one's checkpoint."""
        at = checkpoints.restore_newest()
        if at is None:
            at = Checkpoint(0, self.alone.programs.init()(self.alone.member), [])
        at = at._replace(state=self.alone.put(at.state))
        checkpoints.tidy(at)
        writers.write_metrics(self.folder / "metrics.jsonl", at.history)
        if self._over(at):
            return at
        self._announce(at)
        return self._train_on(self._compile(), at, checkpoints)

    def _train_on(self, epochs: _Epochs, at: Checkpoint, checkpoints: Checkpoints) -> Checkpoint:
        with (
            Interrupts() as interrupts,
            EpochProgress(self.config.train.epochs, at.epoch) as progress,
            writers.Events(self.folder / "tensorboard", at.epoch * self.run.steps_per_epoch) as events,
        ):
            stop = None
            while stop is None and not self._over(at):
                at = epochs(at, interrupts)
                # Read once: of a later signal the next epoch takes notice.
                stop = interrupts.received
                self._save(checkpoints, at, last=stop is not None or self._over(at))
                progress.report(at.history[-1])
                events.write(at.history[-1])
        if interrupts.received is not None:
            raise Interrupted(interrupts.received, f"stopped after epoch {at.epoch}")
        return at

    def finish(self, at: Checkpoint) -> dict[str, Any]:
        """Scores the last epoch's state and writes the summary."""
        split = "test" if self.config.train.score_test else "val"
        scores = write_evaluation_files(self.folder, self.alone.programs, at.state, getattr(self.dataset, split))
        if split == "test":
            at.history[-1].update(test_loss=scores["loss"], test_accuracy=scores["accuracy"])
            writers.write_metrics(self.folder / "metrics.jsonl", at.history)
        summary = self._summary(at, split)
        write_json(self.folder / "summary.json", summary)
        return finite(summary)

    def _over(self, at: Checkpoint) -> bool:
        return at.epoch >= self.config.train.epochs or self._diverged(at)

    def _diverged(self, at: Checkpoint) -> bool:
        return bool(at.history) and diverged(at.history[-1])

    def _announce(self, at: Checkpoint) -> None:
        resumed = f", resumed after epoch {at.epoch}" if at.epoch else ""
        if not at.epoch:
            print(parameter_table(self.template.params))
        mark = "SYNTHETIC data" if self.dataset.synthetic else self.dataset.name
        print(
            f"{self.config.model.name} ({count_parameters(self.template.params):,} parameters), "
            f"{self.config.optimizer.name}, {mark} ({len(self.dataset.train):,} training images), "
            f"{jax.devices()[0].device_kind}{resumed}; workdir {self.folder}",
            flush=True,
        )

    def _compile(self) -> _Epochs:
        started = time.perf_counter()
        epochs = _Epochs(self)
        self.compile_seconds = time.perf_counter() - started
        return epochs

    def _save(self, checkpoints: Checkpoints, at: Checkpoint, *, last: bool) -> None:
        if last or at.epoch % self.config.checkpoint.every == 0:
            checkpoints.save(at.epoch, at.state, at.history)
        writers.write_metrics(self.folder / "metrics.jsonl", at.history)
        if last:
            # While signals are held back: no later one is to stop its writing.
            checkpoints.wait()

    def _summary(self, at: Checkpoint, scored_split: str) -> dict[str, Any]:
        last = at.history[-1]
        figures = ("epoch", "step", "train_loss", "train_accuracy", "val_loss", "val_accuracy")
        tested = ("test_loss", "test_accuracy")
        return {
            "status": "diverged" if self._diverged(at) else "finished",
            "data": self.dataset.name,
            "synthetic": self.dataset.synthetic,
            "validation_is_test": self.dataset.validation_is_test,
            "model": self.config.model.name,
            "optimizer": self.config.optimizer.name,
            "parameters": count_parameters(self.template.params),
            "seed": self.config.seed,
            "epochs": self.config.train.epochs,
            **{name: last[name] for name in figures},
            **{name: last[name] for name in tested if name in last},
            "examples_per_second": statistics.median(record["examples_per_second"] for record in at.history),
            "train_seconds": sum(record["train_seconds"] for record in at.history),
            "compile_seconds": self.compile_seconds,
            "train_examples": len(self.dataset.train),
            "scored_split": scored_split,
            "scored_examples": len(getattr(self.dataset, scored_split)),
        }


class _Epochs:
    """The compiled epoch and evaluation with their data on the device: maps a checkpoint to the next epoch's."""

    def __init__(self, session: _Session):
        self._run, self._member = session.run, session.alone.member
        self._train, self._val = map(session.alone.put_split, (session.dataset.train, session.dataset.val))
        self._epoch = session.alone.programs.epoch(self._train)
        self._evaluate = session.alone.programs.evaluate(self._val)
        self._rate = jax.jit(self._run.learning_rate)

    def __call__(self, at: Checkpoint, interrupts: Interrupts) -> Checkpoint:
        begun = time.perf_counter()
        state, trained = self._epoch(at.state, self._member, self._train)
        scored = self._evaluate(state, self._val)
        interrupts.wait(trained)
        between = time.perf_counter()
        interrupts.wait(scored)
        trained, scored = jax.device_get((trained, scored))
        train_seconds, eval_seconds = between - begun, time.perf_counter() - between
        epoch, step = at.epoch + 1, (at.epoch + 1) * self._run.steps_per_epoch
        timings = {
            "examples_per_second": int(trained.examples) / train_seconds,
            "train_seconds": train_seconds,
            "eval_seconds": eval_seconds,
        }
        record = epoch_record(epoch, step, trained, scored, float(self._rate(self._member, step - 1)))
        return Checkpoint(epoch, state, [*at.history, record | timings])
