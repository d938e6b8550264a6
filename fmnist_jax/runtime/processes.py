"""Several processes that train together: how they find each other, exchange values, and end together.

JAX's own runtime connects them (`jax.distributed`). All run the same program; process 0 is the writer, the only one
that writes files and prints results. With a single process, the functions here do nothing.
"""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import re
import sys
import threading
from collections.abc import Iterator
from typing import Any, TypeVar

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Sharding

from fmnist_jax.errors import ConfigError
from fmnist_jax.files import atomic

# After so long without a sign of life of one process, JAX ends the others.
_HEARTBEAT_SECONDS = 20
_SHUTDOWN_SECONDS = 60  # until all have said goodbye
_POLL_SECONDS = 0.5
_END = "fmnist_jax/end"  # the key under which a process that fails tells the others why
_FLAGS = "--coordinator_address=HOST:PORT, --num_processes and --process_id"

_connected = False
_finished, _ending = threading.Event(), threading.Lock()

_Value = TypeVar("_Value")
_Tree = TypeVar("_Tree")


def initialize(
    coordinator_address: str | None = None,
    num_processes: int | None = None,
    process_id: int | None = None,
    cluster_detection_method: str | None = None,
) -> None:
    """Connects this process with the others, with the arguments of `jax.distributed.initialize`.

    Those that are `None` are what JAX finds in the environment of Slurm, Open MPI, Kubernetes or a TPU pod. If all are,
    the processes are connected only where Slurm or a TPU pod has started several. Call it before JAX computes anything.

    **Raises:** `ConfigError` where an argument is wrong or missing, or the others are not found.
    """
    global _connected
    given = coordinator_address, num_processes, process_id, cluster_detection_method
    if not (any(value is not None for value in given) or _launched_as_several()):
        return
    if coordinator_address is not None and not re.search(r".:\d+$", coordinator_address):
        raise ConfigError(f"--coordinator_address must be HOST:PORT of process 0, not {coordinator_address!r}")
    # Its handler of SIGTERM would replace ours.
    jax.config.update("jax_enable_preemption_service", False)
    try:
        jax.distributed.initialize(
            coordinator_address,
            num_processes,
            process_id,
            cluster_detection_method=cluster_detection_method,
            heartbeat_timeout_seconds=_HEARTBEAT_SECONDS,
            shutdown_timeout_seconds=_SHUTDOWN_SECONDS,
        )
    except (ValueError, RuntimeError) as error:
        raise ConfigError(f"the processes cannot be connected ({error}); check {_FLAGS}") from None
    if not is_writer():
        atomic.disable_writes()
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    _connected = True
    _watcher.start()


def connected() -> bool:
    """Returns whether `initialize` has connected this process with others."""
    return _connected


def count() -> int:
    """Returns how many processes train together."""
    return jax.process_count()


def is_writer() -> bool:
    """Returns whether this process is the one that writes."""
    return jax.process_index() == 0


def gather(value: _Value) -> list[_Value]:
    """Returns the value of each process, in their order. Waits until all processes call it."""
    if count() == 1:
        return [value]
    content = np.frombuffer(pickle.dumps(value), np.uint8)
    sizes = multihost_utils.process_allgather(np.int32(content.size))
    # Padded to a power of two: each size takes a program of its own.
    padded = np.zeros(1 << int(sizes.max()).bit_length(), np.uint8)
    padded[: content.size] = content
    rows = multihost_utils.process_allgather(padded)
    return [pickle.loads(row[:size].tobytes()) for row, size in zip(rows, sizes, strict=True)]


def barrier() -> None:
    """Waits until all processes call it."""
    gather(None)


@contextlib.contextmanager
def writer_first() -> Iterator[None]:
    """The others enter once the writer has left without an error, so that they find the files that it wrote."""
    if not is_writer():
        barrier()
    yield
    if is_writer():
        barrier()


def put(tree: _Tree, sharding: Sharding) -> _Tree:
    """Returns a tree's arrays, whole and the same at every process, as arrays with that sharding."""
    if sharding.is_fully_addressable:
        return jax.device_put(tree, sharding)

    def put_leaf(leaf: Any) -> jax.Array:
        host = np.asarray(leaf)
        return jax.make_array_from_callback(host.shape, sharding, host.__getitem__)

    return jax.tree.map(put_leaf, tree)


def fetch(tree: Any) -> Any:
    """Returns the whole arrays of a tree on the host. Waits until all processes call it."""
    if all(leaf.is_fully_addressable or leaf.is_fully_replicated for leaf in jax.tree.leaves(tree)):
        return jax.device_get(tree)
    return multihost_utils.process_allgather(tree, tiled=True)


def end_all(code: int, message: str) -> None:
    """Ends this process and the others with the exit code, these with the message; returns if there are no others."""
    if not _connected:
        return
    _ending.acquire()  # for good: what this process has to say is said once
    with contextlib.suppress(jax.errors.JaxRuntimeError):  # another process was faster
        _client().key_value_set(_END, json.dumps([jax.process_index(), code, message]))
    _leave(code)


def is_lost_contact(error: Exception) -> bool:
    """Returns whether an error says that another process has ended."""
    return isinstance(error, jax.errors.JaxRuntimeError) and bool(re.search("Gloo|UNAVAILABLE", str(error)))


def finish() -> None:
    """Waits until all processes call it, however long the writer takes, and disconnects them."""
    if _connected:
        barrier()
        _finished.set()
        _watcher.join()  # its calls into JAX would hang while Python shuts down
        jax.distributed.shutdown()


def _watch() -> None:
    """Ends this process when another one has failed; waiting for that one would take forever."""
    client = _client()
    while not _finished.wait(_POLL_SECONDS):
        try:
            number, code, message = json.loads(client.key_value_try_get(_END))
        except jax.errors.JaxRuntimeError as error:
            if "NOT_FOUND" in str(error):
                continue
            return
        if _ending.acquire(blocking=False):
            os.write(2, f"error: process {number} ended: {message}\n".encode())
            _leave(code)
        return


_watcher = threading.Thread(target=_watch, daemon=True)


def _leave(code: int) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    # Together, for JAX aborts a process that finds process 0 gone.
    with contextlib.suppress(jax.errors.JaxRuntimeError):
        jax.distributed.shutdown()
    os._exit(code)  # an ordinary exit waits for the others, and for computations that wait for them


def _client() -> Any:
    from jax._src import distributed  # JAX gives no other access to it; Orbax takes this one, too

    return distributed.global_state.client


def _launched_as_several() -> bool:
    slurm = "SLURM_STEP_NODELIST" in os.environ and os.environ.get("SLURM_NTASKS", "1") != "1"
    return slurm or "," in os.environ.get("TPU_WORKER_HOSTNAMES", "")
