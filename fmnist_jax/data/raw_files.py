"""Finds data files, in folders and zip archives, unpacks gzip, reads IDX and `.npz` archives.

Whatever is wrong with a file is one `DataError`.

IDX is the format of MNIST and Fashion-MNIST: a big-endian header, then bytes in row-major order. The header is
`00 00 t d` (t: the type, 8 for unsigned bytes; d: the number of dimensions) and d sizes of four bytes each; see "The
MNIST database" (LeCun, Cortes, Burges).
"""

from __future__ import annotations

import contextlib
import fnmatch
import gzip
import hashlib
import io
import math
import os
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, TypeAlias, cast

import numpy as np

from fmnist_jax.errors import DataError

Found: TypeAlias = Path | zipfile.Path  # a file, of a folder or in an archive
File: TypeAlias = str | os.PathLike[str] | zipfile.Path

# The files of MNIST and its successors, and Keras's names for the same arrays.
IDX_FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
NPZ_ARRAYS = ("x_train", "y_train", "x_test", "y_test")

_GZIP_MAGIC = b"\x1f\x8b"
_MAX_LISTED = 8  # names of a folder shown in an error
IDX_MAGIC = b"\x00\x00\x08"
_MAX_DIMENSIONS = 8
_MAX_BYTES = 2**30  # 20 times Fashion-MNIST: a header that says more is damaged
_BLOCK = 2**20


def expand_user(folder: str) -> Path:
    """Returns `folder` with a leading `~` replaced by the home folder, unchanged where there is no home folder."""
    return Path(os.path.expanduser(folder))  # noqa: PTH111 (Path.expanduser raises where there is no home folder)


def holding(folder: Path, pattern: str) -> Path | None:
    """Returns `folder`, itself a zip archive or not, or one in it, with files that match; `None` where there is none.

    **Raises:** `DataError` where an archive is damaged.
    """
    candidates = (folder, *sorted(folder.glob("*.zip")))
    return next((path for path in candidates if fnmatch.filter(_files(path), pattern)), None)


def find(folder: Path, names: Iterable[str]) -> dict[str, Found]:
    """Returns the path of each file in `folder`, which may be called `name` or `name.gz`, and `.idx` for `-idx` in it.

    The folder may be a zip archive.

    **Raises:** `DataError` naming the missing ones, and what the folder holds.
    """
    names = tuple(names)
    try:
        files = _files(folder) if _is_zip(folder) else {entry.name: entry for entry in folder.iterdir()}
    except OSError as error:
        raise DataError(f"the data folder {folder} cannot be read: {error.strerror or error}") from None
    listing = sorted(files)
    spelled = {entry.replace(".idx", "-idx"): entry for entry in listing}
    found = {name: files[spelled[file]] for name in names for file in (f"{name}.gz", name) if file in spelled}
    missing = [f"{name}[.gz]" for name in names if name not in found]
    if missing:
        inside = ", ".join(listing[:_MAX_LISTED] + ["..."] * (len(listing) > _MAX_LISTED)) or "nothing"
        raise DataError(f"{folder} lacks {', '.join(missing)} (it holds {inside})")
    return found


def _files(folder: Path) -> Mapping[str, Found]:
    """What a folder or a zip archive holds, by name; nothing where it is neither."""
    if not _is_zip(folder):
        return {entry.name: entry for entry in folder.glob("*")}
    try:
        return {entry.name: entry for entry in zipfile.Path(folder).iterdir()}
    except OSError as error:
        raise DataError(f"{folder} cannot be read: {error.strerror or error}") from None
    # On damaged bytes, zipfile raises almost any exception.
    except Exception as error:
        raise DataError(f"{folder} is damaged: it is no zip archive ({error})") from None


def _is_zip(path: Path) -> bool:
    return path.suffix.lower() == ".zip" and path.is_file()


@contextlib.contextmanager
def open_unpacked(path: File) -> Iterator[BinaryIO]:
    """Opens `path` to read bytes, decompressed where its content (not its name) is gzip.

    **Raises:** `DataError` where the file is missing, unreadable or not a regular file, or where, here or within the
    `with` block, its compressed data are truncated, have trailing garbage or fail their checksum.
    """
    found = path if isinstance(path, zipfile.Path) else Path(path)
    try:
        # Opening a named pipe would block until something writes to it.
        if found.exists() and not found.is_file():
            raise DataError(f"{path} is not a file")
        with found.open("rb") as opened:
            file = cast(io.BufferedReader, opened)
            compressed = file.peek(2)[:2] == _GZIP_MAGIC
            yield cast(BinaryIO, gzip.GzipFile(fileobj=file) if compressed else file)
    # RuntimeError: within a zip archive, encrypted or compressed by a method that is unknown.
    except (EOFError, zlib.error, gzip.BadGzipFile, zipfile.BadZipFile, RuntimeError) as error:
        raise DataError(f"{path} is damaged: its compressed data cannot be unpacked ({error})") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from None


def read_idx(path: File, max_bytes: int = _MAX_BYTES) -> np.ndarray:
    """Returns the `uint8` array of the IDX file at `path`, plain or gzip-compressed.

    Memory is bounded by the size of the file, whatever its header says.

    **Raises:** `DataError` where the file cannot be read, is damaged, or is not an IDX file of unsigned bytes.
    """
    with open_unpacked(path) as stream:
        shape = _read_idx_header(stream, path, max_bytes)
        expected = math.prod(shape)
        # One byte more than expected, to check that the file ends there (and to verify gzip's checksum).
        body = _read_at_most(stream, expected + 1)
    if len(body) != expected:
        found = f"{len(body):,} follow" if len(body) < expected else "more follow"
        raise DataError(f"{path} is damaged: its header says {shape}, which is {expected:,} bytes, but {found}")
    return np.frombuffer(body, np.uint8).reshape(shape)


def idx_digest(array: np.ndarray) -> str:
    """Returns the SHA-256, in hex, of the uncompressed IDX file that holds the array, of `uint8` or `int32`.

    There is only one such file, so this is the digest of the file that `read_idx` read.
    """
    kind = {np.dtype(np.uint8): IDX_MAGIC, np.dtype(np.int32): b"\x00\x00\x0c"}[array.dtype]
    sha = hashlib.sha256(kind + struct.pack(f">B{array.ndim}I", array.ndim, *array.shape))
    sha.update(np.ascontiguousarray(array, array.dtype.newbyteorder(">")).data)
    return sha.hexdigest()


def read_npz(path: Path, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Returns the arrays of the `.npz` archive at `path`, by name; pickled objects are not read.

    **Raises:** `DataError` where the file cannot be read, is damaged or lacks an array.
    """
    try:
        with path.open("rb") as file:
            archive = np.load(file, allow_pickle=False)
            if isinstance(archive, np.ndarray):
                raise DataError(f"{path} holds a single array; expected an archive with {', '.join(names)}")
            held = list(archive)
            arrays = {name: archive[name] for name in names if name in held}
    except DataError:
        raise
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from None
    # On damaged bytes, zipfile and numpy raise almost any exception.
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{path} is damaged: it is no archive of arrays ({reason})") from None
    if missing := [name for name in names if name not in arrays]:
        inside = ", ".join(held[:_MAX_LISTED]) or "nothing"
        raise DataError(f"{path} lacks {', '.join(missing)} (it holds {inside})")
    return arrays


def _read_idx_header(stream: BinaryIO, path: File, max_bytes: int) -> tuple[int, ...]:
    magic = _read_at_most(stream, 4)
    if len(magic) < 4 or magic[:3] != IDX_MAGIC or not 1 <= magic[3] <= _MAX_DIMENSIONS:
        raise DataError(
            f"{path} is not an IDX file of unsigned bytes: it starts with {magic.hex(' ') or 'nothing'}, expected "
            f"00 00 08 and the number of dimensions, 01 to {_MAX_DIMENSIONS:02}"
        )
    sizes = _read_at_most(stream, 4 * magic[3])
    if len(sizes) < 4 * magic[3]:
        raise DataError(f"{path} is damaged: it ends within its header, after {4 + len(sizes)} bytes")
    shape = struct.unpack(f">{magic[3]}I", sizes)
    if math.prod(max(size, 1) for size in shape) > max_bytes:
        raise DataError(f"{path} is too large or damaged: its header says {shape}, more than {max_bytes:,} bytes")
    return shape


def _read_at_most(stream: BinaryIO, count: int) -> bytearray:
    # In blocks: read(count) would allocate `count` bytes even for a short file.
    content = bytearray()
    while len(content) < count and (block := stream.read(min(_BLOCK, count - len(content)))):
        content += block
    return content
