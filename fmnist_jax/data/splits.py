"""Splits a validation set off the training set: stratified by class, and the same for every run.

The seed of the split is a constant, not the run's: runs with different training seeds, and optimizers compared over
seeds, are then scored on the same images, and their spread is the training's, not the split's.
"""

from __future__ import annotations

import numpy as np

from fmnist_jax.data.dataset import NUM_CLASSES, Split
from fmnist_jax.errors import DataError

SEED = 0


def stratified(split: Split, val_examples: int, seed: int = SEED) -> tuple[Split, Split]:
    """Returns `(train, val)`: `val_examples` images of `split`, drawn at random class by class, are `val`.

    The classes' shares in `val` are those in `split`, rounded by largest remainders, but `train` keeps at least one
    image of each class as long as that leaves `val_examples` to take. Both parts keep the order of `split`. Raises
    `DataError` unless `0 < val_examples < len(split)`.
    """
    if not 0 < val_examples < len(split):
        raise DataError(
            f"{val_examples} validation examples cannot be held out of {len(split)} training images; set "
            f"--config.data.val_examples to 0 (validate on the test set) or to at most {len(split) - 1}"
        )
    rng = np.random.default_rng(seed)
    held_out = np.zeros(len(split), bool)
    for label, count in enumerate(_apportion(np.bincount(split.labels, minlength=NUM_CLASSES), val_examples)):
        held_out[rng.permutation(np.flatnonzero(split.labels == label))[:count]] = True
    return _take(split, ~held_out), _take(split, held_out)


def _apportion(sizes: np.ndarray, total: int) -> np.ndarray:
    """Shares `total` out in proportion to `sizes` by largest remainders, leaving one of each size where possible."""
    counts, remainders = np.divmod(sizes.astype(np.int64) * total, sizes.sum())
    for _ in range(total - counts.sum()):
        room = counts < sizes - 1
        if not room.any():
            room = counts < sizes
        largest = np.where(room, remainders, np.iinfo(np.int64).min).argmax()
        counts[largest] += 1
        remainders[largest] -= sizes.sum()
    return counts


def _take(split: Split, chosen: np.ndarray) -> Split:
    return Split(split.images[chosen], split.labels[chosen])
