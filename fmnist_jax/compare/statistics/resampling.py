"""The bootstrap over seeds, drawn alike at each call. What it resamples is runs, never examples or workloads."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy import stats

from fmnist_jax.compare.statistics.intervals import Interval

RESAMPLES = 9999
_SEED = 0
# Numbers held at a time: 128 MiB.
_AT_ONCE = 2**24


def bootstrap(
    samples: Sequence[np.ndarray],
    statistic: Callable[..., np.ndarray],
    level: float,
    *,
    method: str = "BCa",
    paired: bool = False,
    resamples: int = RESAMPLES,
) -> Interval:
    """Returns the bootstrap interval of `statistic(*samples, axis=-1)`, each sample `(..., n)` with n > 1.

    `method` is `"BCa"` or `"percentile"` (Efron & Tibshirani 1993, chapters 13 and 14); where BCa has no value, as for
    values that are all alike, its limits are the percentile ones. `paired` resamples pairs. On three to five seeds both
    are far too narrow: see docs/statistics.
    """
    batch = max(1, _AT_ONCE // sum(sample.size for sample in samples))
    with warnings.catch_warnings(), np.errstate(divide="ignore", invalid="ignore"):
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)
        found = stats.bootstrap(
            samples,
            statistic,
            n_resamples=resamples,
            batch=batch,
            vectorized=True,
            paired=paired,
            axis=-1,
            confidence_level=level,
            method=method,
            rng=np.random.default_rng(_SEED),
        )
    return _filled(found, level)


def _filled(found: Any, level: float) -> Interval:
    low, high = found.confidence_interval
    known = np.isfinite(low) & np.isfinite(high)
    ends = np.quantile(found.bootstrap_distribution, [(1 - level) / 2, (1 + level) / 2], axis=-1)
    return Interval(np.where(known, low, ends[0]), np.where(known, high, ends[1]))
