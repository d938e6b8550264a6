"""Reads IDX files, the format of MNIST and Fashion-MNIST: a big-endian header, then bytes in row-major order.

The header is `00 00 08 d` (8: unsigned bytes, d: the number of dimensions) and d sizes of four bytes each; see
"The MNIST database" (LeCun, Cortes, Burges).
"""

from __future__ import annotations

import gzip
import hashlib
import io
import math
import os
import stat
import struct
import zlib
from typing import BinaryIO, cast

import numpy as np

from fmnist_jax.errors import DataError

_MAGIC = b"\x00\x00\x08"
_GZIP_MAGIC = b"\x1f\x8b"
_MAX_DIMENSIONS = 8
_MAX_BYTES = 2**30  # 20 times Fashion-MNIST: above it, the header is taken to be damaged
_BLOCK = 2**20


def read(path: str | os.PathLike[str]) -> np.ndarray:
    """Returns the `uint8` array of the IDX file at `path`, plain or gzip-compressed (told apart by its content).

    Raises `DataError` where the file cannot be read, is damaged, or is not an IDX file of unsigned bytes. Memory is
    bounded by what the file really holds, whatever its header says.
    """
    try:
        with open(path, "rb", opener=_open_without_waiting) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise DataError(f"{path} is not a file; expected an IDX file, plain or gzip-compressed")
            return _parse(_unpacked(file), path)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path} is damaged, its gzip data cannot be unpacked ({error}); fetch it again") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from None


def digest(array: np.ndarray) -> str:
    """Returns the SHA-256, in hex, of the uncompressed IDX file that holds `array` (an IDX file has one form only)."""
    header = _MAGIC + struct.pack(f">B{array.ndim}I", array.ndim, *array.shape)
    sha = hashlib.sha256(header)
    sha.update(np.ascontiguousarray(array).data)
    return sha.hexdigest()


def _open_without_waiting(path: str, flags: int) -> int:
    # Opening a named pipe would wait for its writer, maybe for ever.
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _unpacked(file: io.BufferedReader) -> BinaryIO:
    compressed = file.peek(2)[:2] == _GZIP_MAGIC
    return cast(BinaryIO, gzip.GzipFile(fileobj=file) if compressed else file)


def _parse(stream: BinaryIO, path: str | os.PathLike[str]) -> np.ndarray:
    shape = _read_header(stream, path)
    expected = math.prod(shape)
    if math.prod(max(size, 1) for size in shape) > _MAX_BYTES:
        raise DataError(f"{path} is damaged: its header claims the shape {shape}, more than {_MAX_BYTES:,} bytes")
    body = _read_at_most(stream, expected + 1)
    if len(body) != expected:
        found = f"only {len(body):,} bytes follow" if len(body) < expected else "more bytes follow"
        raise DataError(f"{path} is damaged: its header says {shape}, {expected:,} bytes, but {found}; fetch it again")
    return np.frombuffer(body, np.uint8).reshape(shape)


def _read_header(stream: BinaryIO, path: str | os.PathLike[str]) -> tuple[int, ...]:
    magic = _read_at_most(stream, 4)
    if len(magic) < 4 or magic[:3] != _MAGIC or not 1 <= magic[3] <= _MAX_DIMENSIONS:
        found = magic.hex(" ") or "nothing"
        raise DataError(
            f"{path} is not an IDX file of unsigned bytes: it starts with {found}, expected 00 00 08 and the number "
            f"of dimensions, 1 to {_MAX_DIMENSIONS}"
        )
    sizes = _read_at_most(stream, 4 * magic[3])
    if len(sizes) < 4 * magic[3]:
        raise DataError(f"{path} is damaged: it ends within the header, after {4 + len(sizes)} bytes; fetch it again")
    return struct.unpack(f">{magic[3]}I", sizes)


def _read_at_most(stream: BinaryIO, count: int) -> bytearray:
    # By blocks: read(count) would allocate `count` bytes, however few there are.
    content = bytearray()
    while len(content) < count and (block := stream.read(min(_BLOCK, count - len(content)))):
        content += block
    return content
