"""What tuning buys: the best validation score to be expected of k trials."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import numpy as np
from scipy import special

from fmnist_jax.compare.statistics.intervals import around, t_quantile
from fmnist_jax.compare.statistics.samples import LEVEL, as_sample, check_share

RESAMPLES = 2000
_SEED = 0


class TuningCurve(NamedTuple):
    """The expected best score by number of trials; arrays `(trials,)`, the first for one trial.

    **Attributes:**

    - `low`, `high`: a pointwise band at `level`; `nan` where there is none, as for all trials together.
    - `supported`: up to how many trials the band comes near its level; beyond, read it as too narrow.
    """

    trials: np.ndarray
    value: np.ndarray
    low: np.ndarray
    high: np.ndarray
    level: float
    supported: int


def expected_best(
    scores: Iterable[float], defaults: float | None = None, level: float = LEVEL, method: str = "jackknife"
) -> TuningCurve:
    """Returns the curve of an arm from all its trials' scores, in any order, failures as the caller counts them.

    The expectation over which k of the n trials were made, without replacement: exact from order statistics, unbiased
    for k new trials of the same search (Sivaprasad et al. 2020; Tang et al. 2020 on why not with replacement, as Dodge
    et al. 2019). `defaults` is the score of a trial that every search begins with, not among `scores`: the untuned one.

    The band is of the draw of the trials (of seeds it says nothing). `method` is `"jackknife"`, with Student's t, or
    `"percentile"`, a bootstrap, the narrower and the worse of the two. Both are too narrow toward the last trials,
    where all rests on the few best: no method can tell from n trials how good the best of another n would be.

    **Raises:** `ValueError` where there is no score or one is not finite.
    """
    sample = np.sort(as_sample(scores))
    check_share("level", level)
    if method not in BANDS:
        raise ValueError(f"method must be one of {', '.join(BANDS)}, not {method!r}")
    if defaults is not None:
        as_sample([defaults])
    value = curve(sample, defaults)
    low, high = BANDS[method](sample, defaults, level) if len(sample) > 1 else np.full((2, len(value)), np.nan)
    trials = np.arange(1, len(value) + 1)
    return TuningCurve(trials, value, low, high, level, _supported(len(value), level))


def curve(ordered: np.ndarray, defaults: float | None = None) -> np.ndarray:
    """Returns the expected best of k = 1, 2, ... trials, over the last axis of ascending scores `(..., n)`."""
    if defaults is None:
        return ordered @ _weights(ordered.shape[-1]).T
    first = np.full((*ordered.shape[:-1], 1), defaults)
    return np.concatenate([first, curve(np.maximum(ordered, defaults))], axis=-1)


def jackknife_band(ordered: np.ndarray, defaults: float | None, level: float) -> np.ndarray:
    """Returns lower and upper limits `(2, ..., trials)` from leaving out each of n > 1 ascending scores `(..., n)`."""
    n = ordered.shape[-1]
    others = np.array([np.delete(np.arange(n), left_out) for left_out in range(n)])
    value, without = curve(ordered, defaults), curve(ordered[..., others], defaults)
    half_width = t_quantile(level, n - 1) * np.sqrt(n - 1) * without.std(-2)
    # The best of all n has no counterpart among n - 1.
    half_width = np.concatenate([half_width, np.full_like(half_width[..., :1], np.nan)], axis=-1)
    return np.stack(around(value, half_width))


def percentile_band(ordered: np.ndarray, defaults: float | None, level: float) -> np.ndarray:
    """Returns lower and upper limits `(2, ..., trials)` from resampled trials of ascending scores `(..., n)`."""
    n = ordered.shape[-1]
    drawn = np.sort(np.random.default_rng(_SEED).integers(0, n, (RESAMPLES, n)), axis=-1)
    return np.quantile(curve(ordered[..., drawn], defaults), [(1 - level) / 2, (1 + level) / 2], axis=-2)


BANDS: Mapping[str, Callable[[np.ndarray, float | None, float], np.ndarray]] = {
    "jackknife": jackknife_band,
    "percentile": percentile_band,
}


def _supported(trials: int, level: float) -> int:
    """For the best of so many the greatest of all scores is an upper limit, in the median, at this level."""
    return int(trials * math.log(2) / math.log(2 / (1 - level)))


def _weights(n: int) -> np.ndarray:
    """How likely the i-th of n ascending scores is the best of k: C(i - 1, k - 1) / C(n, k), shape `(k, i)`."""
    k, i = np.arange(1, n + 1)[:, None], np.arange(1, n + 1)
    with np.errstate(invalid="ignore"):
        logarithm = _log_choose(i - 1, k - 1) - _log_choose(np.array(n), k)
    return np.where(i >= k, np.exp(logarithm), 0.0)


def _log_choose(n: np.ndarray, k: np.ndarray) -> np.ndarray:
    return special.gammaln(n + 1) - special.gammaln(k + 1) - special.gammaln(np.maximum(n - k, 0) + 1)
