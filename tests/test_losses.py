from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import toy

from fmnist_jax.config.schema import default_config
from fmnist_jax.errors import ConfigError
from fmnist_jax.train import losses
from fmnist_jax.train.run import make_run

CLASSES = 5
RNG = np.random.default_rng(0)
LOGITS = jnp.asarray(3 * RNG.normal(size=(40, CLASSES)), jnp.float32)
LABELS = jnp.asarray(RNG.integers(0, CLASSES, 40), jnp.int32)
MIXED = jnp.asarray(RNG.dirichlet(np.ones(CLASSES), 40), jnp.float32)


def _make(name: str, **keys: float):
    config = default_config()
    config.loss.update(name=name, **keys)
    return losses.make(config.loss, CLASSES)


def _probabilities() -> np.ndarray:
    odds = np.exp(np.float64(LOGITS))
    return odds / odds.sum(axis=1, keepdims=True)


def test_the_default_is_the_cross_entropy_of_integer_labels_bit_for_bit():
    expected = optax.softmax_cross_entropy_with_integer_labels(LOGITS, LABELS)
    np.testing.assert_array_equal(_make("cross_entropy")(LOGITS, LABELS), expected)


def test_the_default_of_mixed_labels_is_their_cross_entropy():
    expected = -np.sum(np.asarray(MIXED) * np.log(_probabilities()), axis=1)
    np.testing.assert_allclose(_make("cross_entropy")(LOGITS, MIXED), expected, rtol=1e-5)


@pytest.mark.parametrize("labels", [LABELS, MIXED], ids=["classes", "mixed"])
def test_label_smoothing_is_that_of_optax(labels):
    targets = jax.nn.one_hot(LABELS, CLASSES) if labels is LABELS else MIXED
    expected = optax.softmax_cross_entropy(LOGITS, optax.smooth_labels(targets, 0.1))
    found = _make("cross_entropy", label_smoothing=0.1)(LOGITS, labels)
    np.testing.assert_array_equal(found, expected)
    by_hand = -np.sum((0.9 * np.asarray(targets) + 0.1 / CLASSES) * np.log(_probabilities()), axis=1)
    np.testing.assert_allclose(found, by_hand, rtol=1e-5)


def test_focal_is_as_defined():
    p = _probabilities()[np.arange(40), LABELS]
    expected = -((1 - p) ** 1.5) * np.log(p)
    np.testing.assert_allclose(_make("focal", gamma=1.5)(LOGITS, LABELS), expected, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_focal_with_gamma_0_is_the_cross_entropy(smoothing):
    focal, plain = (_make(name, gamma=0, label_smoothing=smoothing) for name in ("focal", "cross_entropy"))
    for labels in (LABELS, MIXED):
        np.testing.assert_allclose(focal(LOGITS, labels), plain(LOGITS, labels), rtol=1e-5)
        gradients = [jax.grad(lambda x, f=f, y=labels: f(x, y).sum())(LOGITS) for f in (focal, plain)]
        np.testing.assert_allclose(*gradients, atol=1e-6)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0])
def test_the_gradient_of_focal_is_finite_where_the_network_is_certain(gamma):
    logits = jnp.asarray([[0.0, 40.0, 0.0], [0.0, 400.0, 0.0], [400.0, 0.0, 0.0]])
    gradient = jax.grad(lambda x: losses.focal(x, jax.nn.one_hot(jnp.ones(3, int), 3), gamma).sum())(logits)
    assert np.isfinite(gradient).all()


@pytest.fixture
def register(monkeypatch):
    """Registers a loss `own` for the duration of a test."""
    monkeypatch.setattr(losses.LOSSES, "entries", dict(losses.LOSSES.entries))
    return lambda function: losses.register("own", function)


def test_a_users_loss_gets_soft_targets(register):
    register(lambda logits, targets: jnp.sum((logits - targets) ** 2, axis=-1))
    targets = 0.8 * np.eye(CLASSES)[LABELS] + 0.2 / CLASSES
    expected = np.sum((np.asarray(LOGITS) - targets) ** 2, axis=1)
    np.testing.assert_allclose(_make("own", label_smoothing=0.2)(LOGITS, LABELS), expected, rtol=1e-5)


def _fails(logits: Any, targets: Any) -> Any:
    raise ValueError("no\nloss")


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (
            lambda logits, targets: jnp.sum(logits * targets),
            r"a loss for each example, float32\[11\], not to float32\[\]",
        ),
        (lambda logits, targets: logits * targets, r"not to float32\[11, 10\]"),
        (lambda logits, targets: jnp.sum(logits * targets, axis=0), r"not to float32\[10\]"),
        (lambda logits, targets: jnp.argmax(logits, axis=-1), r"not to int32\[11\]"),
        (lambda logits, targets: (logits, targets), "must return one array, not tuple"),
        (lambda logits, targets: None, "must return one array, not NoneType"),
        (lambda logits: logits, "fails: TypeError: "),
        (lambda logits, targets: logits if logits.sum() > 0 else targets, "fails: TracerBoolConversionError: "),
        (_fails, r"fails: ValueError: no \(.*test_losses\.py, line \d+\)$"),
    ],
)
def test_a_loss_of_the_wrong_shape_is_refused_in_one_line_before_the_run(register, function, message):
    register(function)
    with pytest.raises(ConfigError, match=f"^loss 'own' .*{message}") as caught:
        make_run(toy.toy_config(loss__name="own", model__name="linear"), toy.TRAIN)
    assert "\n" not in str(caught.value)


def test_an_unknown_loss_is_refused_with_the_nearest():
    with pytest.raises(ConfigError, match=r"config\.loss\.name must be one of .*; did you mean 'focal'\?"):
        make_run(toy.toy_config(loss__name="fokal", model__name="linear"), toy.TRAIN)


def test_built_in_names_are_protected():
    with pytest.raises(ValueError, match="registered as 'focal' already"):
        losses.register("focal", lambda logits, targets: logits)
