"""A single run in its workdir: resumed from its checkpoints, trained epoch by epoch, scored, summarised."""

from __future__ import annotations

import contextlib
import os
import statistics
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
from fmnist_jax.train.epochs import Training, diverged
from fmnist_jax.train.evaluation import write_evaluation_files
from fmnist_jax.train.interrupts import Interrupted, Interrupts
from fmnist_jax.train.manifest import manifest
from fmnist_jax.train.sharded import DataParallelRun, SingleProgramBatch
from fmnist_jax.train.workdir import claim


def train(
    config: ConfigDict, workdir: str | os.PathLike[str], config_file: str | os.PathLike[str] | None = None
) -> dict[str, Any]:
    """Trains what `config` describes in `workdir`; resumes where an earlier call with the same config stopped.

    **Arguments:**

    - `config_file`: where `config` comes from. It is recorded in the manifest, so that `evaluate` can run it again for
      the networks and optimizers that it registers.

    **Returns:** the summary, as written to `summary.json`.

    **Raises:** `UserError` for an error in the config, the data or the workdir, before anything is written;
    `Interrupted` after SIGINT or SIGTERM, with a checkpoint written.
    """
    config_schema.validate(config)
    dataset = data.load(config.data)
    session = _Session(config, dataset, Path(workdir))
    with claim(session.folder, config, session.manifest(config_file), dataset):
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
        self.run = DataParallelRun(config, len(dataset.train), self.devices)
        self.parameters = count_parameters(self.run.template.params)
        self.compile_seconds = 0.0

    def manifest(self, config_file: str | os.PathLike[str] | None) -> dict[str, Any]:
        return manifest(
            self.config,
            self.run.member,
            self.dataset,
            parameters=self.parameters,
            batch_devices=len(self.devices),
            config_file=config_file,
        )

    def checkpoints(self) -> Checkpoints:
        # Where the test set stands in for a validation split, nothing may be chosen by it: no best one is kept.
        keep_best = not self.dataset.validation_is_test
        keep = self.config.checkpoint.keep
        return Checkpoints(self.folder / "checkpoints", self.run.template, keep=keep, keep_best=keep_best)

    def finished(self) -> dict[str, Any] | None:
        """Returns the summary, the last file of a run, if an earlier process wrote it."""
        reader = WorkdirReader(self.folder, "delete it and run the command again")
        return reader.object("summary.json") if reader.has("summary.json") else None

    def train(self, checkpoints: Checkpoints) -> Checkpoint:
        """Trains the remaining epochs and returns the last one's checkpoint."""
        at = checkpoints.restore_newest() or Checkpoint(0, self.run.programs.init()(self.run.member), [])
        at = at._replace(state=self.run.put(at.state))
        checkpoints.tidy(at)
        writers.write_metrics(self.folder / "metrics.jsonl", at.history)
        batch = self.run.begin(self.dataset, at.state)
        run, rates = self.run.run, self.run.run.epoch_learning_rates([self.run.member])
        training = Training(batch, rates, run.steps_per_epoch, Interrupts(), [at.history])
        if training.finished:
            return at
        self._announce(at)
        batch.prepare(["val"])
        self.compile_seconds = self.run.programs.seconds
        return self._train_on(training, batch, checkpoints)

    def _train_on(self, training: Training, batch: SingleProgramBatch, checkpoints: Checkpoints) -> Checkpoint:
        interrupts, (history,) = training.interrupts, training.histories
        with (
            interrupts,
            writers.EpochProgress(training.num_epochs, training.epochs_done) as progress,
            writers.Events(self.folder / "tensorboard", training.epochs_done * training.steps_per_epoch) as events,
        ):
            for epoch in training.epochs():
                stop = interrupts.received  # read once: a later signal stops the next epoch
                at = Checkpoint(epoch, batch.state, list(history))
                self._save(checkpoints, at, last=stop is not None or training.finished)
                progress.report(history[-1])
                events.write(history[-1])
                if stop is not None:
                    break
        if interrupts.received is not None:
            raise Interrupted(interrupts.received, f"stopped after epoch {at.epoch}")
        return at

    def finish(self, at: Checkpoint) -> dict[str, Any]:
        """Scores the last epoch's state and writes the summary."""
        split = "test" if self.config.train.score_test else "val"
        scores = write_evaluation_files(self.folder, self.run.programs, at.state, getattr(self.dataset, split))
        if split == "test":
            at.history[-1].update(test_loss=scores["loss"], test_accuracy=scores["accuracy"])
            writers.write_metrics(self.folder / "metrics.jsonl", at.history)
        summary = self._summary(at, split)
        write_json(self.folder / "summary.json", summary)
        return finite(summary)

    def _announce(self, at: Checkpoint) -> None:
        resumed = f", resumed after epoch {at.epoch}" if at.epoch else ""
        if not at.epoch:
            print(parameter_table(self.run.template.params))
        mark = "SYNTHETIC data" if self.dataset.synthetic else self.dataset.name
        print(
            f"{self.config.model.name} ({self.parameters:,} parameters), "
            f"{self.config.optimizer.name}, {mark} ({len(self.dataset.train):,} training images), "
            f"{jax.devices()[0].device_kind}{resumed}; workdir {self.folder}",
            flush=True,
        )

    def _save(self, checkpoints: Checkpoints, at: Checkpoint, *, last: bool) -> None:
        if last or at.epoch % self.config.checkpoint.every == 0:
            checkpoints.save(at.epoch, at.state, at.history)
        writers.write_metrics(self.folder / "metrics.jsonl", at.history)
        if last:
            # While signals are held back, so that a later one cannot stop the writing.
            checkpoints.wait()

    def _summary(self, at: Checkpoint, scored_split: str) -> dict[str, Any]:
        last = at.history[-1]
        figures = ("epoch", "step", "train_loss", "train_accuracy", "val_loss", "val_accuracy")
        tested = ("test_loss", "test_accuracy")
        return {
            "status": "diverged" if diverged(last) else "finished",
            "data": self.dataset.name,
            "synthetic": self.dataset.synthetic,
            "validation_is_test": self.dataset.validation_is_test,
            "model": self.config.model.name,
            "optimizer": self.config.optimizer.name,
            "parameters": self.parameters,
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
