from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toy

from fmnist_jax.errors import ConfigError
from fmnist_jax.report.run.calibration import reliability
from fmnist_jax.train import batches, metrics
from fmnist_jax.train.metrics import METRICS, Metric
from fmnist_jax.train.run import make_run

CLASSES, EXAMPLES = 6, 500
RNG = np.random.default_rng(0)
LOGITS = jnp.asarray(2 * RNG.normal(size=(EXAMPLES, CLASSES)), jnp.float32)
LABELS = jnp.asarray(
    np.where(RNG.random(EXAMPLES) < 0.5, LOGITS.argmax(1), RNG.integers(0, CLASSES, EXAMPLES)), jnp.int32
)
BUILT_IN = METRICS.names()


def _of(logits: jax.Array = LOGITS, labels: jax.Array = LABELS, names=BUILT_IN) -> dict[str, float]:
    sums = metrics.summed(metrics.checked(names, CLASSES), logits, labels, jnp.ones(len(labels), bool))
    return metrics.finished(sums, len(labels))


def _probabilities() -> np.ndarray:
    odds = np.exp(np.float64(LOGITS))
    return odds / odds.sum(axis=1, keepdims=True)


@pytest.mark.parametrize(("name", "k"), [("top2", 2), ("top5", 5)])
def test_top_k(name, k):
    best = np.argsort(-np.asarray(LOGITS), axis=1)[:, :k]
    assert _of()[name] == pytest.approx((best == np.asarray(LABELS)[:, None]).any(axis=1).mean())


def test_of_equally_probable_classes_the_first_are_the_top_ones():
    logits, labels = jnp.zeros((3, CLASSES)), jnp.asarray([0, 1, 2])
    assert _of(logits, labels, ["top2"])["top2"] == pytest.approx(2 / 3)
    assert _of(jnp.full((3, CLASSES), jnp.nan), labels, ["top2"])["top2"] == 0


def test_negative_log_likelihood():
    assert _of()["nll"] == pytest.approx(-np.log(_probabilities()[np.arange(EXAMPLES), LABELS]).mean(), rel=1e-5)


def test_brier():
    expected = ((_probabilities() - np.eye(CLASSES)[LABELS]) ** 2).sum(axis=1).mean()
    assert _of()["brier"] == pytest.approx(expected, rel=1e-5)


def test_expected_calibration_error():
    p, ece = _probabilities(), 0.0
    confidence, correct = p.max(axis=1), p.argmax(axis=1) == np.asarray(LABELS)
    for low, high in zip(np.arange(15) / 15, np.arange(1, 16) / 15, strict=True):
        inside = (confidence > low) & (confidence <= high)
        if inside.any():
            ece += inside.mean() * abs(correct[inside].mean() - confidence[inside].mean())
    assert _of()["ece"] == pytest.approx(ece, rel=1e-4)
    # The run's report, from the predictions.
    assert _of()["ece"] == pytest.approx(reliability(np.asarray(LABELS), p).ece, rel=1e-4)


@pytest.mark.parametrize("sizes", [(500,), (123, 377), (1, 100, 399)])
def test_sums_over_padded_batches_are_those_of_the_whole(sizes):
    found = metrics.checked(BUILT_IN, CLASSES)
    parts, padded_size, begin = [], 400 if len(sizes) > 1 else 512, 0
    for size in sizes:
        rows = np.resize(np.arange(begin, begin + size), padded_size)
        valid = jnp.arange(padded_size) < size
        # Padding is ignored, whatever it is.
        logits = jnp.where(valid[:, None], LOGITS[rows], jnp.nan)
        parts.append(batches.batch_metrics(logits, LABELS[rows], valid, logits[:, 0], found))
        begin += size
    merged = batches.merge(jax.tree.map(lambda *leaves: jnp.stack(leaves), *parts))
    assert merged.metrics.keys() == set(BUILT_IN)
    means = merged.means()
    assert {name: means[name] for name in BUILT_IN} == pytest.approx(_of(), rel=1e-5)


@pytest.fixture
def register(monkeypatch):
    """Registers a metric `own` for the duration of a test."""
    monkeypatch.setattr(METRICS, "entries", dict(METRICS.entries))
    return lambda *arguments: metrics.register("own", Metric(*arguments))


def test_a_users_metric_of_several_sums(register):
    def recalls(logits, labels):
        true = jax.nn.one_hot(labels, CLASSES)
        return jnp.stack([true * (jnp.argmax(logits, axis=-1) == labels)[:, None], true], axis=-1)

    register(recalls, True, lambda sums, examples: np.mean(sums[:, 0] / sums[:, 1]))
    labels, correct = np.asarray(LABELS), np.asarray(LOGITS.argmax(axis=1) == LABELS)
    expected = np.mean([correct[labels == each].mean() for each in range(CLASSES)])
    assert _of(names=["own"])["own"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((lambda logits, labels: jnp.mean(logits), True), r"numbers for each example, \[11, ...\], not to float32\[\]"),
        ((lambda logits, labels: jnp.mean(logits, axis=0), True), r"not to float32\[10\]"),
        ((lambda logits, labels: (logits, labels), True), "must return one array, not tuple"),
        ((lambda logits: logits, True), "fails: TypeError: "),
        ((lambda logits, labels: logits, True), "fails in finish: TypeError: "),
        ((lambda logits, labels: labels, True, lambda sums: sums), "fails in finish: TypeError: "),
    ],
)
def test_a_metric_that_is_no_sum_over_examples_is_refused_in_one_line_before_the_run(register, arguments, message):
    register(*arguments)
    with pytest.raises(ConfigError, match=f"^metric 'own':? .*{message}") as caught:
        make_run(toy.toy_config(eval__metrics=("own",), model__name="linear"), toy.TRAIN)
    assert "\n" not in str(caught.value)


def test_an_unknown_metric_is_refused_with_the_nearest():
    with pytest.raises(ConfigError, match=r"config\.eval\.metrics must be one of .*; did you mean 'brier'\?"):
        make_run(toy.toy_config(eval__metrics=("nll", "brie"), model__name="linear"), toy.TRAIN)


@pytest.mark.parametrize("name", ["loss", "accuracy", "Top", "a-b", "", "1st", "ä"])
def test_a_name_that_cannot_be_a_columns_is_refused(name):
    with pytest.raises(ValueError, match="the name of a metric must consist of lower-case letters"):
        metrics.register(name, METRICS.get("nll"))
