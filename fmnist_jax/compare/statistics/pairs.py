"""Arms on the same seeds: what one scores above another, seed by seed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from fmnist_jax.compare.statistics.estimates import Estimate, mean
from fmnist_jax.compare.statistics.samples import LEVEL, as_pairs, as_sample


def common_seeds(arms: Mapping[str, Mapping[int, float]]) -> tuple[int, ...]:
    """Returns the seeds that every arm has a score for, ascending; `arms` maps an arm to its scores by seed.

    **Raises:** `ValueError` where there is no such seed.
    """
    seeds = sorted(set.intersection(*(set(scores) for scores in arms.values()))) if arms else []
    if not seeds:
        raise ValueError(f"the arms have no seed in common: {', '.join(arms)}")
    return tuple(seeds)


def aligned(arms: Mapping[str, Mapping[int, float]]) -> dict[str, np.ndarray]:
    """Returns each arm's scores of the common seeds, as an array `(seeds,)` in their order.

    **Raises:** `ValueError` where no seed is common, or a score is not finite.
    """
    seeds = common_seeds(arms)
    return {arm: as_sample(scores[seed] for seed in seeds) for arm, scores in arms.items()}


def paired_difference(a: Iterable[float], b: Iterable[float], level: float = LEVEL, method: str = "t") -> Estimate:
    """Returns the mean of `a[i] - b[i]` over seeds i; methods and their merits are those of `estimates.mean`.

    What the seeds have in common (initialisation, data order) cancels where it moves both arms alike.

    **Raises:** `ValueError` where there are not as many of one as of the other, none, or one is not finite.
    """
    first, second = as_pairs(a, b)
    return mean(first - second, level, method)
