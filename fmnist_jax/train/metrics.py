"""Metrics by name, beside loss and accuracy: sums over examples, which add up exactly over batches and devices."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from fmnist_jax.config.registry import Registry
from fmnist_jax.errors import ConfigError
from fmnist_jax.runtime.user_code import output, user_code

_BINS = 15  # of the expected calibration error
_RESERVED = ("loss", "accuracy")


def mean(sums: np.ndarray, examples: int) -> float:
    """Returns the mean over examples of a metric that is one number for each."""
    return float(sums / examples)


@dataclasses.dataclass(frozen=True)
class Metric:
    """An entry of the registry.

    **Attributes:**

    - `per_example`: `per_example(logits, labels)`, from `float32[batch, classes]` and `int32[batch]` to one number, or
      several, for each example, `float32[batch, ...]`. Must be traceable by JAX.
    - `higher_is_better`.
    - `finish`: `finish(sums, examples) -> float`: the metric from the sums over all examples, `float64[...]`, and their
      number; by default the mean.
    """

    per_example: Callable[[Array, Array], Array]
    higher_is_better: bool
    finish: Callable[[np.ndarray, int], float] = mean


METRICS: Registry[Metric] = Registry("a metric", "config.eval.metrics")


def register(name: str, metric: Metric) -> None:
    """Registers a metric, for `config.eval.metrics`; a second one under the same name replaces the first.

    **Raises:** `ValueError` for the name of a built-in metric, or one that cannot be part of a column's name.
    """
    if name in _RESERVED or not re.fullmatch("[a-z][a-z0-9_]*", name):
        allowed = f"lower-case letters, digits and underscores, and be none of {', '.join(_RESERVED)}"
        raise ValueError(f"the name of a metric must consist of {allowed}, not {name!r}")
    METRICS.register(name, metric)


def _top(k: int) -> Metric:
    """Whether the true class is among the k most probable ones; of equal ones the first counts, as for the accuracy."""

    def per_example(logits: Array, labels: Array) -> Array:
        own = jnp.take_along_axis(logits, labels[:, None], axis=-1)
        before = (logits > own) | ((logits == own) & (jnp.arange(logits.shape[-1]) < labels[:, None]))
        return (jnp.sum(before, axis=-1) < k) & ~jnp.isnan(own[:, 0])

    return Metric(per_example, higher_is_better=True)


def _brier(logits: Array, labels: Array) -> Array:
    """The squared distance of the probabilities from the true class, in [0, 2] (Brier 1950)."""
    return jnp.sum((jax.nn.softmax(logits) - jax.nn.one_hot(labels, logits.shape[-1])) ** 2, axis=-1)


def _confidence_bins(logits: Array, labels: Array) -> Array:
    """Confidence minus correctness, in the bin of the confidence: `float32[batch, bins]`."""
    confidence, correct = jnp.max(jax.nn.softmax(logits), axis=-1), jnp.argmax(logits, axis=-1) == labels
    which = jnp.clip(jnp.ceil(confidence * _BINS).astype(jnp.int32) - 1, 0, _BINS - 1)
    return jax.nn.one_hot(which, _BINS) * (confidence - correct)[:, None]


_BUILT_IN = {
    "top2": _top(2),
    "top5": _top(5),
    "nll": Metric(optax.softmax_cross_entropy_with_integer_labels, higher_is_better=False),
    "brier": Metric(_brier, higher_is_better=False),
    # Expected calibration error (Guo et al. 2017, eq. 3): the mean of each bin's |confidence - accuracy|, by examples.
    "ece": Metric(_confidence_bins, higher_is_better=False, finish=lambda sums, n: float(np.abs(sums).sum() / n)),
}

for _name, _metric in _BUILT_IN.items():
    METRICS.register(_name, _metric)
METRICS.protect()


def checked(names: Sequence[str], num_classes: int) -> dict[str, Metric]:
    """Returns the metrics of these names.

    **Raises:** `ConfigError` for an unknown name, or a user's metric that fails or is not a sum over examples.
    """
    found = {name: METRICS.get(name) for name in names}
    for name, metric in found.items():
        if not METRICS.is_built_in(name):
            _check(name, metric, num_classes)
    return found


def _check(name: str, metric: Metric, num_classes: int) -> None:
    batch = num_classes + 1  # unlike any other size, so that axes cannot be mistaken for one another
    logits = jax.ShapeDtypeStruct((batch, num_classes), jnp.float32)
    values = output(f"metric {name!r}", metric.per_example, logits, jax.ShapeDtypeStruct((batch,), jnp.int32))
    if not values.shape or values.shape[0] != batch:
        raise ConfigError(
            f"metric {name!r} must map logits float32{[batch, num_classes]} and labels int32{[batch]} to numbers for "
            f"each example, [{batch}, ...], not to {values.dtype}{list(values.shape)}"
        )
    with user_code(f"metric {name!r}", "fails in finish"), np.errstate(all="ignore"):
        float(metric.finish(np.ones(values.shape[1:]), batch))


def described(names: Sequence[str]) -> dict[str, dict[str, str]]:
    """Returns what the manifest says about the metrics of these names, so that a report needs no registry."""
    directions = {name: "higher" if METRICS.get(name).higher_is_better else "lower" for name in names}
    return {"metrics": {name: f"{which} is better" for name, which in directions.items()}} if names else {}


def summed(metrics: Mapping[str, Metric], logits: Array, labels: Array, valid: Array) -> dict[str, Array]:
    """Returns the sums over the valid examples of a batch, `float32[...]` each.

    **Arguments:**

    - `logits`: `float32[batch, classes]`; `labels`: `int32[batch]`; `valid`: `bool[batch]`, false for padding.
    """

    def total(metric: Metric) -> Array:
        values = metric.per_example(logits, labels).astype(jnp.float32)
        mask = valid.reshape(-1, *[1] * (values.ndim - 1))
        return jnp.sum(jnp.where(mask, values, 0.0), axis=0)

    return {name: total(metric) for name, metric in metrics.items()}


def finished(sums: Mapping[str, Array], examples: int) -> dict[str, float]:
    """Returns the metrics from their sums over so many examples, as Python numbers."""
    return {name: float(METRICS.get(name).finish(np.asarray(each, float), examples)) for name, each in sums.items()}
