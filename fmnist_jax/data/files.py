"""Finds and opens data files, gzip-compressed or not, so that whatever is wrong with one becomes one `DataError`."""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, cast

from fmnist_jax.errors import DataError

_GZIP_MAGIC = b"\x1f\x8b"
_LISTED = 8  # names of a folder shown in an error


def expanded(folder: str) -> Path:
    """Returns `folder` with a leading `~` replaced by the home folder, or as it is where there is none."""
    return Path(os.path.expanduser(folder))  # noqa: PTH111 (Path's own raises where there is no home folder)


def find(folder: Path, names: Iterable[str]) -> dict[str, Path]:
    """Returns where in `folder` each of the files is, name -> path; each may be there as `name` or as `name.gz`.

    Raises `DataError` naming the ones that are missing, and what is there instead.
    """
    here, names = _names_in(folder), tuple(names)
    found = {name: folder / there for name in names for there in (f"{name}.gz", name) if there in here}
    missing = [f"{name}[.gz]" for name in names if name not in found]
    if missing:
        inside = ", ".join(here[:_LISTED] + ["..."] * (len(here) > _LISTED)) or "nothing"
        raise DataError(f"{folder} lacks {', '.join(missing)} (it holds {inside})")
    return found


@contextlib.contextmanager
def open_unpacked(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Opens `path` to read bytes, unpacked where its content (not its name) says that it is gzip-compressed.

    Raises `DataError` where the file is missing, unreadable, not a regular file, or, here or within the `with` block,
    where its gzip data end early, are followed by something else or fail their checksum.
    """
    try:
        # Opening a named pipe would wait for its writer, maybe for ever.
        if Path(path).exists() and not Path(path).is_file():
            raise DataError(f"{path} is not a file")
        with Path(path).open("rb") as file:
            yield _unpacked(file)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path} is damaged: its gzip data cannot be unpacked ({error})") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from None


def _unpacked(file: io.BufferedReader) -> BinaryIO:
    compressed = file.peek(2)[:2] == _GZIP_MAGIC
    return cast(BinaryIO, gzip.GzipFile(fileobj=file) if compressed else file)


def _names_in(folder: Path) -> list[str]:
    try:
        return sorted(entry.name for entry in folder.iterdir())
    except OSError as error:
        raise DataError(f"the data folder {folder} cannot be read: {error.strerror or error}") from None
