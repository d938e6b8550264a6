"""The batches of an epoch, and the metrics summed over them, which add up exactly over batches of any size."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from fmnist_jax import ops
from fmnist_jax.train.metrics import Metric, finished, summed

# How the order of an epoch is drawn: a run that was begun in another order cannot go on.
ORDER = "feistel"


def shuffled(key: jax.Array, examples: int, batch_size: int) -> tuple[jax.Array, jax.Array]:
    """Returns `(indices int32[steps, batch], valid bool[steps, batch])`: every example once, in random order."""
    return _batches(ops.permutation(key, examples), batch_size)


def in_order(examples: int, batch_size: int) -> tuple[jax.Array, jax.Array]:
    """Returns `(indices int32[steps, batch], valid bool[steps, batch])`: every example once, in order."""
    return _batches(jnp.arange(examples), batch_size)


def num_batches(examples: int, batch_size: int) -> int:
    """Returns the number of batches, the last perhaps partly filled."""
    return -(-examples // batch_size)


def _batches(order: jax.Array, batch_size: int) -> tuple[jax.Array, jax.Array]:
    examples = order.shape[0]
    shape = (num_batches(examples, batch_size), batch_size)
    # The padding repeats real examples, so that nothing computed from it can be infinite or undefined.
    padded = jnp.resize(order, shape)
    valid = np.arange(shape[0] * shape[1]).reshape(shape) < examples
    return padded.astype(jnp.int32), jnp.asarray(valid)


class MetricSums(NamedTuple):
    """Sums over examples.

    **Attributes:**

    - `loss`: `float32[]`.
    - `correct`, `examples`: `int32[]`.
    - `confusion`: `int32[classes, classes]`, rows are true classes, columns predictions.
    - `metrics`: name -> `float32[...]`, of `config.eval.metrics`; empty in training.
    """

    loss: jax.Array
    correct: jax.Array
    examples: jax.Array
    confusion: jax.Array
    metrics: dict[str, jax.Array]

    def means(self) -> dict[str, float]:
        """Returns the mean `loss`, the `accuracy` in [0, 1] and the other metrics by name, as Python numbers."""
        examples = int(self.examples)
        mean = {"loss": float(self.loss) / examples, "accuracy": int(self.correct) / examples}
        return mean | finished(self.metrics, examples)


def batch_metrics(
    logits: jax.Array, labels: jax.Array, valid: jax.Array, losses: jax.Array, metrics: Mapping[str, Metric]
) -> MetricSums:
    """Sums the metrics of a batch.

    **Arguments:**

    - `logits`: `[batch, classes]`; `labels`: `int32[batch]`; `valid`: `bool[batch]`, false for padding.
    - `losses`: `float32[batch]`; `metrics`: by name, beside loss and accuracy.
    """
    predictions = jnp.argmax(logits, axis=-1)
    cells = jnp.zeros((logits.shape[-1],) * 2, jnp.int32)
    return MetricSums(
        loss=jnp.sum(jnp.where(valid, losses, 0.0)),
        correct=jnp.sum((predictions == labels) & valid, dtype=jnp.int32),
        examples=jnp.sum(valid, dtype=jnp.int32),
        confusion=cells.at[labels, predictions].add(valid.astype(jnp.int32)),
        metrics=summed(metrics, logits, labels, valid),
    )


def merge(sums: MetricSums) -> MetricSums:
    """Adds up sums that are stacked along their first axis."""
    return jax.tree.map(lambda leaf: jnp.sum(leaf, axis=0, dtype=leaf.dtype), sums)
