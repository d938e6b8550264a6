"""Writing a file whole or not at all, adding to one so that it lasts, and removing one."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from fmnist_jax.errors import WorkdirError


def write_atomically(path: Path, content: bytes) -> None:
    """Replaces `path` by `content`, making its folder where needed; a reader sees the old file or the new one.

    What a process that was killed meanwhile left beside it is removed. Raises `WorkdirError` where the file cannot be
    written.
    """
    # Beside its destination, since a rename is atomic only within a file system.
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with _errors_of_user(path, "written"):
        path.parent.mkdir(parents=True, exist_ok=True)
        for leftover in path.parent.glob(f".{path.name}.*.tmp"):
            if not _is_running(leftover.suffixes[-2]):
                leftover.unlink(missing_ok=True)
        try:
            temporary.write_bytes(content)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def append(path: Path, content: bytes) -> None:
    """Adds `content` to the file `path`, by one write that is on the disk when this returns.

    A process killed meanwhile leaves a part of it. Raises `WorkdirError` where it cannot be written.
    """
    with _errors_of_user(path, "written"), path.open("ab", buffering=0) as file:
        file.write(content)
        os.fsync(file.fileno())


def truncate(path: Path, size: int) -> None:
    """Shortens the file `path` to its first `size` bytes; raises `WorkdirError` where that cannot be."""
    with _errors_of_user(path, "shortened"):
        os.truncate(path, size)


def remove(path: Path) -> None:
    """Removes the file `path` where there is one; raises `WorkdirError` where it cannot be removed."""
    with _errors_of_user(path, "removed"):
        path.unlink(missing_ok=True)


def _is_running(suffix: str) -> bool:
    try:
        os.kill(int(suffix.removeprefix(".")), 0)
    except ProcessLookupError:
        return False
    except (OSError, ValueError, OverflowError):
        return True  # or it is not known
    return True


@contextlib.contextmanager
def _errors_of_user(path: Path, done: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise WorkdirError(f"{path} cannot be {done} ({reason}); make its folder writable and free space") from None
