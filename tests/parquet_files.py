"""Writes the Parquet files of the Hugging Face Hub, for the tests of what reads them."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
from PIL import Image


def png(image: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


def write(path: Path, images: Any, labels: Any) -> None:
    """`images`: arrays, or the content of files."""
    rows = [{"bytes": each if isinstance(each, bytes) else png(each), "path": None} for each in images]
    pyarrow.parquet.write_table(pyarrow.table({"image": rows, "label": labels}), path)
