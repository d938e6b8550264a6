"""Checkpoints: atomic, verified when read, strict in what they restore, and falling back past a damaged one.

Orbax writes them (into a temporary folder that is renamed when complete, in a thread of its own). Around it stand the
checks that it lacks: a checkpoint must hold exactly the arrays that are expected, of the same shapes and types, with
the bytes that were saved (Orbax restores a mismatched tree in part, orbax issue 2972).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import orbax.checkpoint as ocp
from orbax.checkpoint.checkpoint_managers import preservation_policy

from fmnist_jax.errors import WorkdirError
from fmnist_jax.train.run import TrainState

History = list[dict[str, Any]]
_Arrays = dict[str, np.ndarray]
_OS_ERROR = re.compile(r": ([^:]+) \[os_error_code=")  # as TensorStore, which writes the arrays, reports it


class Checkpoint(NamedTuple):
    """What is restored: the state, after `epoch` epochs, and the records of those epochs."""

    epoch: int
    state: TrainState
    history: History


class _Damaged(Exception):
    """A checkpoint cannot be read, or does not hold what was saved."""


class Checkpoints:
    """The checkpoints of a workdir.

    **Arguments:**

    - `folder`: where they are.
    - `template`: a state of the run, or the shapes and types of one.
    - `keep`: how many of the newest to keep; 0: none is to be saved or deleted, they are only read.
    - `keep_best`: keep the one of the highest validation accuracy, too.
    """

    def __init__(self, folder: Path, template: TrainState, *, keep: int = 0, keep_best: bool = False):
        self._template = template
        self._folder = folder
        self._preserved = _Preserved(keep, keep_best)
        options = ocp.CheckpointManagerOptions(
            preservation_policy=self._preserved,
            create=keep > 0,
            # What a killed process had begun to write; not while a living one may be at it.
            cleanup_tmp_directories=keep > 0,
            enable_async_checkpointing=True,
            enable_background_delete=False,
        )
        handlers = {"state": ocp.StandardCheckpointHandler(), "record": ocp.JsonCheckpointHandler()}
        self._manager = ocp.CheckpointManager(folder.resolve(), options=options, item_handlers=handlers)

    def save(self, epoch: int, state: TrainState, history: History) -> None:
        """Starts to write the state after `epoch`; a checkpoint counts only when it is complete.

        The state's arrays are copied to the host before this returns, so that they may be donated at once.

        **Raises:** `WorkdirError` where this one, or the one before it, cannot be written.
        """
        arrays = _flatten(state)
        record = {"history": history, "digest": _digest(arrays), "history_digest": _history_digest(history)}
        self._preserved.history = history
        args = ocp.args.Composite(state=ocp.args.StandardSave(arrays), record=ocp.args.JsonSave(record))
        with self._errors_of_user():
            self._manager.save(epoch, args=args, force=True)

    def epochs(self) -> Sequence[int]:
        """Returns the epochs after which there is a complete checkpoint, in ascending order."""
        return sorted(self._manager.all_steps())

    def restore_newest(self) -> Checkpoint | None:
        """Returns the newest undamaged checkpoint; warns of and passes over damaged ones; `None` where there is none.

        **Raises:** `WorkdirError` where one is of another program's state, or where all are damaged.
        """
        epochs = self.epochs()
        for epoch in reversed(epochs):
            try:
                return self._restore(epoch)
            except _Damaged as error:
                print(f"warning: checkpoint {self._folder / str(epoch)} is damaged ({error})", file=sys.stderr)
        if epochs:
            raise WorkdirError(f"every checkpoint in {self._folder} is damaged; delete that folder to start again")
        return None

    def tidy(self, at: Checkpoint) -> None:
        """Deletes what a run resumed from `at` will write again, or would have deleted had it not been killed."""
        epochs = self.epochs()
        self._preserved.history = at.history
        kept = self._preserved.among([epoch for epoch in epochs if epoch <= at.epoch])
        for epoch in epochs:
            if epoch not in kept:
                self._manager.delete(epoch)

    def wait(self) -> None:
        """Waits until what was saved is complete; raises `WorkdirError` where it cannot be written."""
        with self._errors_of_user():
            self._manager.wait_until_finished()

    def close(self) -> None:
        """Waits until what was saved is complete, and ends the threads that wrote it."""
        self.wait()
        self._manager.close()

    @contextlib.contextmanager
    def _errors_of_user(self) -> Iterator[None]:
        """Names the folder where the operating system refused to write; Orbax raises that as errors of any class."""
        try:
            yield
        except Exception as error:
            match = _OS_ERROR.search(str(error))
            reason = error.strerror if isinstance(error, OSError) else match and match[1]
            if not reason:
                raise
            raise WorkdirError(
                f"a checkpoint cannot be written to {self._folder} ({reason}); make room there and run the same "
                "command again to resume"
            ) from None

    def _restore(self, epoch: int) -> Checkpoint:
        expected = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), _by_name(self._template))
        try:
            found = self._manager.item_metadata(epoch)["state"]
            self._check_structure(epoch, expected, found)
            restored = self._manager.restore(
                epoch,
                args=ocp.args.Composite(state=ocp.args.StandardRestore(expected), record=ocp.args.JsonRestore()),
            )
            arrays, record = restored["state"], restored["record"]
            digest, history = record["digest"], record["history"]
            # Checkpoints from before histories had a digest are taken at their word.
            history_digest = record.get("history_digest", _history_digest(history))
        except (WorkdirError, _Damaged):
            raise
        # Whatever Orbax raises on damaged files (it has no common base class): the checkpoint is unusable.
        except Exception as error:
            raise _Damaged(f"{type(error).__name__}") from error
        if _digest(arrays) != digest or _history_digest(history) != history_digest:
            raise _Damaged("its bytes are not those that were saved")
        return Checkpoint(epoch, _unflatten(self._template, arrays), history)

    def _check_structure(self, epoch: int, expected: _Arrays, found: Any) -> None:
        if not found:
            raise _Damaged("its list of arrays cannot be read")
        wanted = {name: (tuple(leaf.shape), np.dtype(leaf.dtype)) for name, leaf in expected.items()}
        there = {name: (tuple(leaf.shape), np.dtype(leaf.dtype)) for name, leaf in found.items()}
        for name in sorted(wanted.keys() | there.keys()):
            if wanted.get(name) != there.get(name):
                raise WorkdirError(
                    f"checkpoint {self._folder / str(epoch)} does not fit this run: {name} is "
                    f"{_describe(there.get(name))}, expected {_describe(wanted.get(name))}; use a fresh workdir"
                )


class _Preserved(preservation_policy.PreservationPolicy):
    """Which checkpoints are kept: the newest and, if so wished, the best of those that there are.

    Orbax's own policy for the best would know only the accuracies that its own process saved.
    """

    def __init__(self, newest: int, best: bool):
        self.history: History = []
        self._newest, self._best = newest, best

    def among(self, epochs: Sequence[int]) -> set[int]:
        """Returns those of `epochs`, in ascending order, that are to be kept."""
        kept = set(epochs[-self._newest :])
        if self._best and epochs:
            accuracies = {record["epoch"]: record["val_accuracy"] for record in self.history}
            kept.add(max(epochs, key=lambda epoch: (accuracies[epoch], epoch)))
        return kept

    def should_preserve(self, checkpoints: Sequence[Any], *, context: Any) -> list[bool]:
        del context
        kept = self.among([checkpoint.step for checkpoint in checkpoints])
        return [checkpoint.step in kept for checkpoint in checkpoints]


def _describe(leaf: tuple[tuple[int, ...], np.dtype] | None) -> str:
    return "missing" if leaf is None else f"{leaf[1]}{list(leaf[0])}"


def _by_name(state: TrainState) -> dict[str, Any]:
    leaves = jax.tree_util.tree_leaves_with_path(state)
    return {jax.tree_util.keystr(path, simple=True, separator="."): leaf for path, leaf in leaves}


def _flatten(state: TrainState) -> _Arrays:
    # On a CPU, `device_get` may hand out the device's own memory, which the next epoch overwrites: hence the copy.
    return {name: np.array(leaf, copy=True) for name, leaf in jax.device_get(_by_name(state)).items()}


def _unflatten(template: TrainState, arrays: _Arrays) -> TrainState:
    leaves = [jax.numpy.asarray(arrays[name]) for name in _by_name(template)]
    return jax.tree.unflatten(jax.tree.structure(template), leaves)


def _digest(arrays: _Arrays) -> str:
    sha = hashlib.sha256()
    for name in sorted(arrays):
        sha.update(name.encode())
        sha.update(np.ascontiguousarray(arrays[name]).tobytes())
    return sha.hexdigest()


def _history_digest(history: History) -> str:
    return hashlib.sha256(json.dumps(history, sort_keys=True).encode()).hexdigest()
