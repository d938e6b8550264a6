"""Fashion-MNIST as Kaggle's two CSV files: a header `label,pixel1,...,pixel784`, then one image per row."""

from __future__ import annotations

import hashlib
import itertools
import warnings
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from fmnist_jax.data.dataset import FASHION_MNIST, Split
from fmnist_jax.data.raw_files import File, open_unpacked
from fmnist_jax.errors import DataError

TRAIN, TEST = "fashion-mnist_train.csv", "fashion-mnist_test.csv"
_HEIGHT, _WIDTH, _ = FASHION_MNIST.image_shape
_CLASSES = FASHION_MNIST.num_classes
_COLUMNS = ("label", *(f"pixel{i}" for i in range(1, _HEIGHT * _WIDTH + 1)))
_HEADER = ",".join(_COLUMNS).encode()
_LABELS = frozenset(str(value).encode() for value in range(_CLASSES))
_PIXELS = frozenset(str(value).encode() for value in range(256))
_MAX_LINE = 2 * len(_HEADER)  # the header is the longest line
_MAX_BLANK = 1000  # blank lines in a row; a small compressed file can hold millions
_BLOCK = 2**16


def read(path: File) -> tuple[Split, str]:
    """Returns the images of the CSV file at `path`, plain or gzip-compressed, and the SHA-256 of its unpacked content.

    **Raises:** `DataError` naming the file and the line of a wrong header, a wrong number of columns, a pixel that is
    not an integer from 0 to 255 or a label that is not 0 to 9, or of a thousand blank lines; or where there are no
    rows.
    """
    sha = hashlib.sha256()
    with open_unpacked(path) as file:
        rows = _rows(file, path, sha)
        first = next(rows, None)
        if first is None:
            raise DataError(f"{path} holds no images: there is no row below the header")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")  # numpy only warns about an integer that is written as 1.0
                values = np.loadtxt(itertools.chain([first], rows), np.uint8, comments=None, delimiter=",", ndmin=2)
        except ValueError as error:
            raise DataError(_first_bad_value(path) or f"{path} is no table of integers ({error})") from None
    labels = values[:, 0].copy()
    if labels.max() >= _CLASSES:
        raise DataError(_first_bad_value(path))
    return Split(values[:, 1:].reshape(-1, _HEIGHT, _WIDTH), labels), sha.hexdigest()


def _rows(file: BinaryIO, path: File, sha: hashlib._Hash) -> Iterator[bytes]:
    """Yields the lines below the header, checked for their number of columns, and adds every line to `sha`."""
    blank = 0
    for number, line in enumerate(_lines(file), start=1):
        sha.update(line)
        if number == 1:
            header = line.removeprefix(b"\xef\xbb\xbf").strip()
            if header != _HEADER:
                start = _shown(header[:30] + b"..." * (len(header) > 30))
                raise DataError(f"{path}, line 1: the header is {start}, expected label,pixel1,...,{_COLUMNS[-1]}")
        elif (columns := line.count(b",") + 1) == len(_COLUMNS):
            blank = 0
            yield line
        elif line.strip():
            raise DataError(f"{path}, line {number}: {columns} columns, expected {len(_COLUMNS)}")
        elif (blank := blank + 1) > _MAX_BLANK:
            raise DataError(f"{path}, line {number}: {_MAX_BLANK:,} lines before it are blank; remove them")


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """Yields the lines with their ends, which are LF, CR LF or CR; one that is far too long comes in pieces."""
    rest = b""
    while block := file.read(_BLOCK):
        *lines, rest = (rest + block).splitlines(keepends=True)
        yield from lines
        if len(rest) > _MAX_LINE:
            yield rest
            rest = b""
    if rest:
        yield rest


def _first_bad_value(path: File) -> str:
    """Describes the first value that is not allowed; `""` where there is none. Slow: for errors only."""
    with open_unpacked(path) as file:
        for number, line in enumerate(itertools.islice(_lines(file), 1, None), start=2):
            label, *pixels = (value.strip() for value in line.split(b","))
            if label not in _LABELS and line.strip():
                return f"{path}, line {number}: the label is {_shown(label)}, expected 0 to {_CLASSES - 1}"
            if not _PIXELS.issuperset(pixels):
                i = next(i for i, pixel in enumerate(pixels) if pixel not in _PIXELS)
                return f"{path}, line {number}: {_COLUMNS[i + 1]} is {_shown(pixels[i])}, expected 0 to 255"
    return ""


def _shown(value: bytes) -> str:
    return repr(value[:40].decode("ascii", "backslashreplace"))
