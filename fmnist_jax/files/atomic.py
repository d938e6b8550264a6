"""Atomic writes and durable appends, of bytes and of JSON that every parser accepts: NaN and infinity become `null`."""

from __future__ import annotations

import contextlib
import errno
import functools
import json
import math
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, ParamSpec

from fmnist_jax.errors import WorkdirError, way_out

_enabled = True
_Arguments = ParamSpec("_Arguments")


def disable_writes() -> None:
    """Makes the functions here leave all files as they are: another process is the one that writes them."""
    global _enabled
    _enabled = False


def _if_enabled(write: Callable[_Arguments, None]) -> Callable[_Arguments, None]:
    @functools.wraps(write)
    def call(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> None:
        if _enabled:
            write(*args, **kwargs)

    return call


@_if_enabled
def write_atomically(path: Path, content: bytes) -> None:
    """Replaces the file `path` by `content`, making its folder where needed.

    A reader sees the old file or the new one, also after a power loss. Temporary files that killed processes left
    beside it are removed. Raises `WorkdirError` where the file cannot be written.
    """
    # In the folder of `path`: a rename is atomic only within a file system.
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with _as_workdir_error(path, "written"):
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(path)
        try:
            with temporary.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        _sync_folder(path.parent)


@_if_enabled
def append(path: Path, content: bytes, *, create: bool = True) -> None:
    """Appends `content` to the file `path`; it is on disk when this returns.

    A process killed meanwhile can leave a part of it. Raises `WorkdirError` where the file cannot be written, or with
    `create=False` where it is gone.
    """
    with _as_workdir_error(path, "written"):
        is_new = not path.exists()
        flags = os.O_WRONLY | os.O_APPEND | (os.O_CREAT if create else 0)
        with os.fdopen(os.open(path, flags, 0o666), "ab") as file:  # buffered: a short write goes on, or fails
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if is_new:
            _sync_folder(path.parent)


def write_json(path: Path, value: Any) -> None:
    """Writes `value` to the file `path` atomically; `WorkdirReader.object` is its inverse for dicts."""
    write_atomically(path, (json.dumps(finite(value), indent=2, allow_nan=False) + "\n").encode())


def json_lines(records: Iterable[Any]) -> bytes:
    """Returns the records as JSON, one a line; `WorkdirReader.objects` is its inverse for dicts."""
    return "".join(json.dumps(finite(record), allow_nan=False) + "\n" for record in records).encode()


def finite(value: Any) -> Any:
    """Returns `value`, a tree of dicts and lists, with each number that is not finite replaced by `None`."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


@_if_enabled
def truncate(path: Path, size: int) -> None:
    """Shortens the file `path` to its first `size` bytes; raises `WorkdirError` where it cannot be shortened."""
    with _as_workdir_error(path, "shortened"):
        os.truncate(path, size)


@_if_enabled
def remove(path: Path) -> None:
    """Removes the file `path` if it exists; raises `WorkdirError` where it cannot be removed."""
    with _as_workdir_error(path, "removed"):
        path.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Makes the names in a folder durable: a rename or a new file can otherwise be lost in a power loss."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # a file system that cannot sync folders
            raise
    finally:
        os.close(descriptor)


def _remove_leftovers(path: Path) -> None:
    for leftover in path.parent.glob(f".{path.name}.*.tmp"):
        try:
            os.kill(int(leftover.suffixes[-2].removeprefix(".")), 0)
        except ProcessLookupError:
            leftover.unlink(missing_ok=True)
        except (OSError, ValueError, OverflowError):
            pass  # its process may be running


@contextlib.contextmanager
def _as_workdir_error(path: Path, action: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        hint = way_out(reason, "make its folder writable and free space")
        raise WorkdirError(f"{path} cannot be {action} ({reason}); {hint}") from None
