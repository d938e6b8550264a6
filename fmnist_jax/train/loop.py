"""A single run in its workdir: resumed from its checkpoints, trained epoch by epoch, scored, summarised."""

from __future__ import annotations

import contextlib
import os
import statistics
import sys
from pathlib import Path
from typing import Any

import jax
from ml_collections import ConfigDict

from fmnist_jax import data
from fmnist_jax.config import schema as config_schema
from fmnist_jax.data.device import on_device
from fmnist_jax.errors import ConfigError, WorkdirError
from fmnist_jax.files.atomic import append, finite, json_lines, write_json
from fmnist_jax.files.reader import WorkdirReader
from fmnist_jax.models import count_parameters, parameter_table
from fmnist_jax.runtime import devices, processes
from fmnist_jax.train import metrics, writers
from fmnist_jax.train.checkpoints import Checkpoint, Checkpoints
from fmnist_jax.train.claim import claim, more_epochs
from fmnist_jax.train.epochs import History, Training, diverged, other_metrics
from fmnist_jax.train.evaluation import score, write_evaluation
from fmnist_jax.train.init_from import initial_weights, print_loaded
from fmnist_jax.train.interrupts import Interrupted, Interrupts
from fmnist_jax.train.manifest import provenance
from fmnist_jax.train.preview import write_augmented
from fmnist_jax.train.sharded import DataParallelRun


def train(
    config: ConfigDict, workdir: str | os.PathLike[str], config_file: str | os.PathLike[str] | None = None
) -> dict[str, Any]:
    """Trains what `config` describes in `workdir`; resumes where an earlier call with the same config stopped.

    **Arguments:**

    - `config_file`: where `config` comes from. It is recorded in the manifest, so that `evaluate` can run it again for
      the networks and optimizers that it registers.

    **Returns:** the summary, as written to `summary.json`.

    **Raises:** `UserError` for an error in the config, the data or the workdir, before anything is written;
    `Interrupted` after a signal that asks to stop, with a checkpoint written.
    """
    config_schema.validate(config)
    if config.train.patience and not config.data.val_examples:
        raise ConfigError(
            "config.train.patience needs a validation split, for nothing may be chosen by the test set; set "
            "config.data.val_examples above 0"
        )
    with processes.writer_first():  # one downloads the data
        dataset, folder = data.load(config.data), Path(workdir)
    initial = initial_weights(config, folder, config_file)
    on_devices = devices.for_training(config)
    run = DataParallelRun(config, len(dataset.train), on_devices, dataset.description, initial.weights)
    states = {config.model.name: run.template}
    manifest = run_manifest(config, dataset, run, config_file) | initial.manifest_entry(states)
    with claim(folder, config, manifest, [dataset], initial_weights=initial.npz, extend=more_epochs):
        # The summary is the last file of a run.
        if summary := _finished(folder):
            return summary
        # Where the test set stands in for a validation split, nothing may be chosen by it: no best one is kept.
        keep, keep_best = config.checkpoint.keep, not dataset.validation_is_test
        checkpoints = Checkpoints(folder / "checkpoints", run.template, keep=keep, keep_best=keep_best)
        with contextlib.closing(checkpoints):
            if not checkpoints.epochs():
                print_loaded(config, initial.fits(states))
            last = _train_epochs(config, dataset, folder, run, checkpoints)
        return _finish(config, dataset, folder, run, last)


def _finished(folder: Path) -> dict[str, Any] | None:
    """Returns the summary of a finished run whose files are whole; what is damaged is made again from a checkpoint."""
    reader = WorkdirReader(folder, "making it again from the last checkpoint")
    if not reader.has("summary.json"):
        return None
    try:
        reader.arrays("predictions.npz")
        if not (reader.objects("metrics.jsonl") and reader.text("confusion_matrix.csv")):
            raise reader.error("metrics.jsonl or confusion_matrix.csv", "is empty")
        return reader.object("summary.json")
    except WorkdirError as error:
        if not (folder / "checkpoints").is_dir():
            raise
        print(f"warning: {error}", file=sys.stderr)
        return None


def run_manifest(
    config: ConfigDict, dataset: data.Dataset, run: DataParallelRun, config_file: str | os.PathLike[str] | None
) -> dict[str, Any]:
    """Returns the manifest of a run, ready for JSON."""
    # The shortest decimals of the same float32 numbers: 0.001, not 0.0010000000474974513.
    numbers = {name: float(f"{float(value):.7g}") for name, value in run.member.hyperparameters.items()}
    return provenance(dataset, config_file) | {
        "seed": config.seed,
        "model": {"name": config.model.name, "parameters": count_parameters(run.template.params)},
        "optimizer": {"name": config.optimizer.name, **numbers},
        **metrics.described(config.eval.metrics),
        "batch_devices": len(run.sharding.device_set),  # over which each batch is sharded
    }


def _train_epochs(
    config: ConfigDict, dataset: data.Dataset, folder: Path, run: DataParallelRun, checkpoints: Checkpoints
) -> Checkpoint:
    """Trains the remaining epochs and returns the last one's checkpoint."""
    at = checkpoints.restore_newest() or Checkpoint(0, run.programs.init()(run.member), [])
    at = at._replace(state=run.put(at.state))
    checkpoints.resume_from(at)
    writers.write_metrics(folder / "metrics.jsonl", at.history)
    batch, rates = run.begin(dataset, at.state), run.run.epoch_learning_rates([run.member])
    interrupts, history = Interrupts(), list(at.history)
    training = Training(batch, rates, run.run.steps_per_epoch, interrupts, [history], config.train.patience)
    if training.finished:
        return at
    _announce(config, dataset, folder, run, at.epoch)
    write_augmented(folder / "augmented.npz", run.run, at.state, dataset, on_device(dataset, run.sharding)["train"])
    batch.prepare(["val"])
    with (
        interrupts,
        writers.EpochProgress(training.num_epochs, at.epoch) as progress,
        writers.Events(folder / "tensorboard", at.epoch * training.steps_per_epoch) as events,
    ):
        unsaved: History = []
        for epoch in training.epochs():
            stop = interrupts.agree()  # once: a later signal stops the next epoch
            record = processes.gather(history[-1])[0]  # the writer's: each has a clock of its own
            del history[: -config.train.patience - 1]  # a run may have any number of epochs
            append(folder / "metrics.jsonl", json_lines([record]), create=False)
            unsaved.append(record)
            last = stop is not None or training.finished
            if last or epoch % config.checkpoint.every == 0:
                checkpoints.save(epoch, batch.state, unsaved)
                unsaved = []
            if last:
                checkpoints.wait()  # while signals are held back, so that a later one cannot stop the writing
            progress.report(record)
            events.write(record)
            if stop is not None:
                break
    if (stop := interrupts.agree()) is not None:
        raise Interrupted(stop, f"stopped after epoch {epoch}")
    return Checkpoint(epoch, batch.state, checkpoints.history())


def _announce(config: ConfigDict, dataset: data.Dataset, folder: Path, run: DataParallelRun, epoch: int) -> None:
    if not epoch:
        print(parameter_table(run.template.params))
    print(
        f"{config.model.name} ({count_parameters(run.template.params):,} parameters), "
        f"{config.optimizer.name}, {dataset.display_name} ({len(dataset.train):,} training images), "
        f"{jax.devices()[0].device_kind}{f', resumed after epoch {epoch}' if epoch else ''}; workdir {folder}",
        flush=True,
    )


def _finish(
    config: ConfigDict, dataset: data.Dataset, folder: Path, run: DataParallelRun, at: Checkpoint
) -> dict[str, Any]:
    """Scores the last epoch's state and writes the summary."""
    compile_seconds, split = run.programs.seconds, "test" if config.train.score_test else "val"
    scored = score(run.programs, at.state, dataset, split)
    write_evaluation(folder, scored, dataset, split)
    scores = scored.scores
    last = at.history[-1]
    if split == "test":
        last.update({f"test_{name}": value for name, value in scores.items() if name != "examples"})
    writers.write_metrics(folder / "metrics.jsonl", at.history)
    figures = [f"{name}_{metric}" for name in ("train", "val", "test") for metric in ("loss", "accuracy")]
    summary = {
        "status": "diverged" if diverged(last) else "finished",
        "data": dataset.name,
        "synthetic": dataset.synthetic,
        "validation_is_test": dataset.validation_is_test,
        "model": config.model.name,
        "optimizer": config.optimizer.name,
        "parameters": count_parameters(run.template.params),
        "seed": config.seed,
        "epochs": config.train.epochs,
        **{name: last[name] for name in ("epoch", "step", *figures) if name in last},
        **other_metrics(last),
        "examples_per_second": statistics.median(record["examples_per_second"] for record in at.history),
        "train_seconds": sum(record["train_seconds"] for record in at.history),
        "compile_seconds": compile_seconds,
        "train_examples": len(dataset.train),
        "scored_split": split,
        "scored_examples": len(getattr(dataset, split)),
    }
    write_json(folder / "summary.json", summary)
    return finite(summary)
