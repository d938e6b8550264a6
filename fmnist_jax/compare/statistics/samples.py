"""What the statistics take: finite numbers, one for each run."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

LEVEL = 0.95


def as_sample(values: Iterable[float]) -> np.ndarray:
    """Returns the values as float64 of shape `(n,)`.

    **Raises:** `ValueError` where there are none, or one is not finite: what a failed run counts as is the caller's
    to say (this project: the accuracy of chance), never dropped here.
    """
    sample = np.asarray(values if isinstance(values, np.ndarray) else list(values), dtype=np.float64)
    if sample.ndim != 1 or not sample.size:
        raise ValueError(f"a sample is a row of one or more numbers, not of shape {sample.shape}")
    if not np.isfinite(sample).all():
        raise ValueError(f"a sample holds finite numbers; {np.count_nonzero(~np.isfinite(sample))} of these are not")
    return sample


def as_pairs(a: Iterable[float], b: Iterable[float]) -> tuple[np.ndarray, np.ndarray]:
    """Returns two samples of which `a[i]` and `b[i]` belong together.

    **Raises:** `ValueError` where they are not equally many, or as `as_sample`.
    """
    first, second = as_sample(a), as_sample(b)
    if len(first) != len(second):
        raise ValueError(f"pairs come in equal numbers, not {len(first)} and {len(second)}")
    return first, second


def check_share(name: str, value: float) -> None:
    """Raises `ValueError` unless the value lies strictly between 0 and 1."""
    if not 0 < value < 1:
        raise ValueError(f"{name} must lie strictly between 0 and 1, not be {value}")
