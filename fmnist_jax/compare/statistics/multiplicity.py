"""Many tests at once: p-values adjusted so that all of them together err at the nominal rate."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np


def holm(p_values: Iterable[float]) -> np.ndarray:
    """Returns Holm's adjusted p-values, in the order given (Holm 1979).

    To reject where one is at most alpha keeps the chance of any false rejection at alpha or below, however the tests
    depend on each other.

    **Raises:** `ValueError` where one is not a probability.
    """
    given = np.asarray(list(p_values), dtype=np.float64)
    if given.ndim != 1 or not ((given >= 0) & (given <= 1)).all():
        raise ValueError("p-values lie between 0 and 1")
    order = np.argsort(given, kind="stable")
    scaled = given[order] * np.arange(len(given), 0, -1)
    adjusted = np.empty_like(given)
    adjusted[order] = np.minimum(np.maximum.accumulate(scaled), 1)
    return adjusted
