"""Reads the Parquet files of the Hugging Face Hub: a row for each image, with a PNG file and the label."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from fmnist_jax.data.raw_files import open_unpacked
from fmnist_jax.errors import DataError

TRAIN, TEST = "train-00000-of-00001.parquet", "test-00000-of-00001.parquet"


def read(path: Path, shape: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Returns the grey images, `uint8` of the expected `shape` `[n, height, width]`, and the labels, `uint8[n]`.

    **Raises:** `DataError` where the file cannot be read, is damaged or holds another number of images, of another
    size, or labels that are no byte.
    """
    import pyarrow  # late, as few need it
    from pyarrow.parquet import ParquetFile

    with open_unpacked(path) as file:
        try:
            found = ParquetFile(file)
            if found.metadata.num_rows != shape[0]:  # before they are read: a small file can hold very many
                raise DataError(f"{path} holds {found.metadata.num_rows:,} images, expected {shape[0]:,}")
            table = found.read(["image", "label"])
            pngs = table["image"].combine_chunks().field("bytes").to_pylist()
            labels = table["label"].cast(pyarrow.uint8())
            if labels.null_count:
                raise ValueError("a label is missing")
        except DataError:
            raise
        # On damaged bytes, pyarrow raises almost any exception.
        except Exception as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise DataError(f"{path} is damaged: it is no table of images and labels ({reason})") from None
    images = np.empty(shape, np.uint8)
    for i, png in enumerate(pngs):
        images[i] = _decode(png, shape[1:], f"{path}, row {i + 1}")
    return images, labels.to_numpy()


def _decode(content: bytes, size: tuple[int, int], where: str) -> np.ndarray:
    from PIL import Image

    try:
        with Image.open(io.BytesIO(content), formats=["PNG"]) as image:
            if image.mode != "L" or image.size != size[::-1]:  # before its pixels are unpacked
                given = f"{image.width}x{image.height} of mode {image.mode}"
                raise DataError(f"{where}: the image is {given}, expected {size[1]}x{size[0]} of mode L")
            return np.asarray(image)
    except (OSError, SyntaxError, TypeError, ValueError) as error:  # as Pillow raises
        raise DataError(f"{where} is damaged: it is no PNG file ({error})") from None
