"""Writes the two files of a `csv` data set, for tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fmnist_jax.data import Split, kaggle_csv

HEADER = "label," + ",".join(f"pixel{i}" for i in range(1, 785))


def write(folder: Path, train: Split, test: Split) -> Path:
    """Writes both splits into `folder`, which is made where needed; returns it."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, split in ((kaggle_csv.TRAIN, train), (kaggle_csv.TEST, test)):
        rows = np.concatenate([split.labels[:, None], split.images.reshape(len(split), -1)], axis=1)
        np.savetxt(folder / name, rows, fmt="%d", delimiter=",", header=HEADER, comments="")
    return folder
