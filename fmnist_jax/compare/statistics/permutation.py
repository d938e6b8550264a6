"""The paired permutation test: were the arms alike, each seed's difference could as well have had the other sign."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from scipy import stats

from fmnist_jax.compare.statistics.samples import as_sample

# Up to so many pairs all 2^n signs are counted, beyond it so many drawn at random.
EXACT_PAIRS = 30
RESAMPLES = 2**16 - 1
_SEED = 0
# Sums that are equal but for the rounding of their terms count as equal.
_ROUNDING = 1e-10


def sign_flip_test(differences: Iterable[float]) -> float:
    """Returns the two-sided p-value that the differences are as likely of one sign as of the other (Fisher 1935).

    Exact, whatever the noise, if the two arms do not differ at all: then it rejects at most at the nominal rate. The
    statistic is the mean. From all 2^n signs up to `EXACT_PAIRS` differences; else from `RESAMPLES` random draws, which
    with the observed one counted in cannot give 0 (Phipson & Smyth 2010).

    **Raises:** `ValueError` where there is no difference or one is not finite.
    """
    sample = as_sample(differences)
    return _exact(sample) if len(sample) <= EXACT_PAIRS else _drawn(sample)


def smallest_p(n: int) -> float:
    """Returns the smallest p-value that `sign_flip_test` can give for n differences: both of 2^n signs, all alike."""
    return 2 / 2**n if n <= EXACT_PAIRS else 2 / (RESAMPLES + 1)


def least_pairs(alpha: float) -> int:
    """Returns how many differences `sign_flip_test` needs before it can give a p-value of at most `alpha`."""
    return max(2, int(np.ceil(1 - np.log2(alpha))))


def _exact(differences: np.ndarray) -> float:
    """Counts the sums at least as far from 0 by pairing those of one half with those of the other: 2^(n/2), not 2^n."""
    middle = len(differences) // 2
    left, right = _signed_sums(differences[:middle]), np.sort(_signed_sums(differences[middle:]))
    threshold = abs(differences.sum()) - _ROUNDING * np.abs(differences).sum()
    if threshold <= 0:
        return 1.0
    above = len(right) - np.searchsorted(right, threshold - left)
    return float(2 * above.sum() / 2 ** len(differences))


def _signed_sums(differences: np.ndarray) -> np.ndarray:
    sums = np.zeros(1)
    for difference in differences:
        sums = np.concatenate([sums + difference, sums - difference])
    return sums


def _drawn(differences: np.ndarray) -> float:
    test = stats.permutation_test(
        (differences,),
        np.mean,
        permutation_type="samples",
        n_resamples=RESAMPLES,
        batch=2**12,
        rng=np.random.default_rng(_SEED),
    )
    return float(test.pvalue)
