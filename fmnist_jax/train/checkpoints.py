"""Checkpoints: atomic, verified when read, and skipped when damaged.

Orbax writes them, in a background thread, into a temporary folder that is renamed when complete. This module adds the
checks that Orbax lacks: a checkpoint must hold exactly the expected arrays, with their shapes, types and the bytes that
were saved (Orbax restores a mismatched tree in part, orbax issue 2972).

The records of all epochs are in one file beside the checkpoints, to which each save appends those since the one before
it, so that an epoch costs the same however many came before. A checkpoint holds the digest of its part of them.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import orbax.checkpoint as ocp

from fmnist_jax.errors import WorkdirError, way_out
from fmnist_jax.files.atomic import append, json_lines, write_atomically
from fmnist_jax.files.reader import WorkdirReader
from fmnist_jax.models import by_name
from fmnist_jax.train.cancelled_tasks import silence_cancelled_tasks
from fmnist_jax.train.epochs import History
from fmnist_jax.train.network import TrainState
from fmnist_jax.train.preservation import PreservationPolicy, best_epoch, val_accuracies

HISTORY = "history.jsonl"
_SAVE_SECONDS = 10**8  # three years: never
_Arrays = dict[str, np.ndarray]
# As TensorStore, which writes the arrays, reports errors: those of the operating system, else by their kind.
_OS_ERROR, _KIND = re.compile(r": ([^:]+) \[os_error_code="), re.compile(r"([A-Z_]{4,}): ")


class Checkpoint(NamedTuple):
    """The state after `epoch` epochs, and the records of those epochs."""

    epoch: int
    state: TrainState
    history: History


class _Damaged(Exception):
    """A checkpoint cannot be read, or does not hold what was saved."""


class Checkpoints:
    """The checkpoints of a run.

    **Arguments:**

    - `folder`: where they are, and `history.jsonl`. Where that is damaged, `metrics.jsonl` beside the folder is read.
    - `template`: a state of the run, or its shapes and types. Without one, states are restored with whatever arrays
      they have, each field of them that is a tree as a dict by name: `{"conv1.kernel": ...}`.
    - `keep`: how many of the newest to keep; 0: read only, save and delete none.
    - `keep_best`: also keep the one with the highest validation accuracy.
    """

    def __init__(self, folder: Path, template: TrainState | None, *, keep: int = 0, keep_best: bool = False):
        silence_cancelled_tasks()
        self._template = template
        self._folder = folder
        self._policy = PreservationPolicy(keep, keep_best)
        self._history_hash = hashlib.sha256()
        # All processes of a run save and delete together; each reads for itself.
        alone = ocp.options.MultiprocessingOptions(
            primary_host=jax.process_index(), active_processes={jax.process_index()}
        )
        options = ocp.CheckpointManagerOptions(
            multiprocessing_options=ocp.options.MultiprocessingOptions() if keep else alone,
            preservation_policy=self._policy,
            create=keep > 0,
            # Removes what killed processes left; a reader must not, for another process may be writing.
            cleanup_tmp_directories=keep > 0,
            enable_async_checkpointing=True,
            # By the time of day, which jumps where a machine was suspended or its clock is set.
            async_options=ocp.AsyncOptions(timeout_secs=_SAVE_SECONDS),
            enable_background_delete=False,
        )
        handlers = {"state": ocp.StandardCheckpointHandler(), "record": ocp.JsonCheckpointHandler()}
        self._manager = ocp.CheckpointManager(folder.resolve(), options=options, item_handlers=handlers)

    def save(self, epoch: int, state: TrainState, records: History) -> None:
        """Starts writing the state after `epoch`; a checkpoint counts only once it is complete.

        The arrays are copied to the host before this returns, so the state may be donated right away.

        **Arguments:**

        - `records`: of the epochs since the last save, or since the checkpoint that the run resumed from.

        **Raises:** `WorkdirError` where this checkpoint, or the one before it, cannot be written.
        """
        # Copied, because on a CPU `device_get` may return the device's own memory, which the next epoch overwrites.
        arrays = {name: np.array(leaf, copy=True) for name, leaf in jax.device_get(by_name(state)).items()}
        lines = json_lines(records)
        append(self._folder / HISTORY, lines)
        self._history_hash.update(lines)
        record = {"digest": _digest(arrays), "history_digest": self._history_hash.hexdigest()}
        self._policy.accuracies[epoch] = records[-1]["val_accuracy"]
        args = ocp.args.Composite(state=ocp.args.StandardSave(arrays), record=ocp.args.JsonSave(record))
        with self._as_workdir_error():
            self._manager.save(epoch, args=args, force=True)

    def epochs(self) -> Sequence[int]:
        """Returns the epochs with a complete checkpoint, in ascending order."""
        return sorted(self._manager.all_steps())

    def restore_newest(self) -> Checkpoint | None:
        """Returns the newest undamaged checkpoint, with a warning for each damaged one; `None` where there is none.

        It also warns where the newest that was begun is missing, or incomplete because the process was killed.

        **Raises:** `WorkdirError` where a checkpoint's arrays do not fit the template, or where all are damaged.
        """
        epochs, begun = self.epochs(), len(_recorded(self._folder, HISTORY))
        if begun > max(epochs, default=0):
            print(f"warning: checkpoint {self._folder / str(begun)} is missing or incomplete", file=sys.stderr)
        for epoch in reversed(epochs):
            try:
                return self._restore(epoch)
            except _Damaged as error:
                print(f"warning: checkpoint {self._folder / str(epoch)} is damaged ({error})", file=sys.stderr)
        if epochs:
            raise WorkdirError(f"every checkpoint in {self._folder} is damaged; delete that folder to start again")
        return None

    def restore_best(self) -> Checkpoint | None:
        """Returns the checkpoint with the highest validation accuracy, the latest of equals; `None` if there is none.

        **Raises:** `WorkdirError` as `restore`.
        """
        newest = self.restore_newest()
        if newest is None:
            return None
        best = best_epoch([epoch for epoch in self.epochs() if epoch <= newest.epoch], val_accuracies(newest.history))
        return newest if best == newest.epoch else self.restore(best)

    def restore(self, epoch: int) -> Checkpoint:
        """Returns the checkpoint after `epoch`, which must be one of `epochs()`.

        **Raises:** `WorkdirError` where it is damaged or its arrays do not fit the template.
        """
        try:
            return self._restore(epoch)
        except _Damaged as error:
            raise WorkdirError(
                f"checkpoint {self._folder / str(epoch)} is damaged ({error}); take another one: there are those of "
                f"epochs {', '.join(map(str, self.epochs()))}"
            ) from None

    def history(self) -> History:
        """Returns the records of the epochs up to the last save; raises `WorkdirError` where they are damaged."""
        try:
            return self._read_history(self.epochs()[-1], self._history_hash.hexdigest())
        except _Damaged as error:
            raise WorkdirError(f"{error}; delete {self._folder} to start again") from None

    def resume_from(self, at: Checkpoint) -> None:
        """Goes on after `at`: forgets what came later, and deletes the checkpoints that the policy no longer keeps."""
        epochs = self.epochs()
        self._policy.accuracies = val_accuracies(at.history)
        kept = self._policy.kept([epoch for epoch in epochs if epoch <= at.epoch])
        for epoch in epochs:
            if epoch not in kept:
                self._manager.delete(epoch)
        lines = json_lines(at.history)
        write_atomically(self._folder / HISTORY, lines)
        self._history_hash = hashlib.sha256(lines)

    def wait(self) -> None:
        """Waits until the saved checkpoints are complete; raises `WorkdirError` where one cannot be written."""
        with self._as_workdir_error():
            self._manager.wait_until_finished()

    def close(self) -> None:
        """Waits until the saved checkpoints are complete, and ends Orbax's threads."""
        self.wait()
        self._manager.close()

    @contextlib.contextmanager
    def _as_workdir_error(self) -> Iterator[None]:
        """Turns errors of the operating system, which Orbax raises as any class, into one that names the folder."""
        try:
            yield
        except Exception as error:
            match = _OS_ERROR.search(str(error)) or _KIND.match(str(error))
            reason = error.strerror if isinstance(error, OSError) else match and match[1]
            if not reason:
                raise
            hint = f"{way_out(reason, 'make room there')} and run the same command again to resume"
            raise WorkdirError(f"a checkpoint cannot be written to {self._folder} ({reason}); {hint}") from None

    def _restore(self, epoch: int) -> Checkpoint:
        try:
            found = self._manager.item_metadata(epoch)["state"]
            template = self._template or _flat_template(found or {})
            expected = {name: np.zeros(leaf.shape, leaf.dtype) for name, leaf in by_name(template).items()}
            self._check_structure(epoch, expected, found)
            restored = self._manager.restore(
                epoch, args=ocp.args.Composite(state=ocp.args.StandardRestore(expected), record=ocp.args.JsonRestore())
            )
            arrays, record = restored["state"], restored["record"]
            digest = record["digest"]
            # Older checkpoints hold their records themselves.
            history = record["history"] if "history" in record else self._read_history(epoch, record["history_digest"])
        except (WorkdirError, _Damaged):
            raise
        # Orbax's errors about damaged files have no common base class.
        except Exception as error:
            raise _Damaged(f"{type(error).__name__}") from error
        if _digest(arrays) != digest:
            raise _Damaged("its bytes are not those that were saved")
        leaves = [jax.numpy.asarray(arrays[name]) for name in expected]
        return Checkpoint(epoch, jax.tree.unflatten(jax.tree.structure(template), leaves), history)

    def _read_history(self, epoch: int, digest: str) -> History:
        for folder, name in (self._folder, HISTORY), (self._folder.parent, "metrics.jsonl"):
            lines = _recorded(folder, name)[:epoch]
            # The last line of `metrics.jsonl` may have test metrics, which are added after training.
            history = [{key: line[key] for key in line if not key.startswith("test_")} for line in lines]
            if hashlib.sha256(json_lines(history)).hexdigest() == digest:
                return history
        raise _Damaged(f"{self._folder / HISTORY} does not hold the records that were saved")

    def _check_structure(self, epoch: int, expected: _Arrays, found: Any) -> None:
        if not found:
            raise _Damaged("its list of arrays cannot be read")
        wanted, saved = (
            {name: f"{np.dtype(leaf.dtype)}{list(leaf.shape)}" for name, leaf in leaves.items()}
            for leaves in (expected, found)
        )
        for name in sorted(wanted.keys() | saved.keys()):
            if saved.get(name) != wanted.get(name):
                raise WorkdirError(
                    f"checkpoint {self._folder / str(epoch)} does not fit this run: {name} is "
                    f"{saved.get(name, 'missing')}, expected {wanted.get(name, 'missing')}; use a fresh workdir"
                )


def _recorded(folder: Path, name: str) -> History:
    """The records in a file, none where it is missing or damaged."""
    with contextlib.suppress(WorkdirError):
        return WorkdirReader(folder, "").objects(name, allow_partial_tail=True)
    return []


def _flat_template(found: Mapping[str, Any]) -> TrainState:
    """The template of a state with these arrays by name, its trees flat."""
    fields: dict[str, Any] = dict.fromkeys(TrainState._fields)
    for name, leaf in found.items():
        field, dot, rest = name.partition(".")
        if field in fields:
            fields[field] = {**(fields[field] or {}), rest: leaf} if dot else leaf
    return TrainState(**fields)


def _digest(arrays: _Arrays) -> str:
    sha = hashlib.sha256()
    for name in sorted(arrays):
        sha.update(name.encode())
        sha.update(np.ascontiguousarray(arrays[name]).tobytes())
    return sha.hexdigest()
