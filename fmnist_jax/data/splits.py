"""Splits a validation set off the training set: stratified by class, and the same for every run.

The split's seed is a constant, so that runs with different training seeds (and optimizers compared over seeds) are
scored on the same images; their spread is then the training's, not the split's.
"""

from __future__ import annotations

import numpy as np

from fmnist_jax.data.dataset import NUM_CLASSES, Split
from fmnist_jax.errors import DataError

SEED = 0


def stratified(split: Split, val_examples: int, seed: int = SEED) -> tuple[Split, Split]:
    """Returns `(train, val)`: `val_examples` images of `split` drawn at random class by class, and the rest.

    The classes' shares in `val` are those in `split`, by largest remainders; both parts keep the order of `split`.
    Raises `DataError` unless `0 < val_examples < len(split)`.
    """
    if not 0 < val_examples < len(split):
        raise DataError(
            f"{val_examples:,} validation examples cannot be split off {len(split):,} training images; "
            f"set --config.data.val_examples to 0 (validate on the test set) or to less than {len(split):,}"
        )
    rng = np.random.default_rng(seed)
    held_out = np.zeros(len(split), bool)
    for label, count in enumerate(_class_counts(split.labels, val_examples)):
        held_out[rng.permutation(np.flatnonzero(split.labels == label))[:count]] = True
    return _take(split, ~held_out), _take(split, held_out)


def _class_counts(labels: np.ndarray, total: int) -> np.ndarray:
    """Apportions `total` over the classes by the largest remainder."""
    sizes = np.bincount(labels, minlength=NUM_CLASSES)
    counts, remainders = np.divmod(sizes * total, len(labels))
    order = np.argsort(-remainders, kind="stable")
    counts[order[: total - counts.sum()]] += 1
    return counts


def _take(split: Split, chosen: np.ndarray) -> Split:
    return Split(split.images[chosen], split.labels[chosen])
