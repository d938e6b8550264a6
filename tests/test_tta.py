from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toy

from fmnist_jax.data import device
from fmnist_jax.train import tta
from fmnist_jax.train.run import make_run, member_of

TEST = toy.split(toy.TEST, seed=1)
VIEWS = {
    "flip": [(1 / 2, 0, False), (1 / 2, 0, True)],
    "flip+translate": [
        (1 / 4, 0, False),
        (1 / 4, 0, True),
        *((1 / 8, offset, flipped) for offset in (-1, 1) for flipped in (False, True)),
    ],
}


def _run(how: str, **changes):
    return make_run(toy.toy_config(eval__tta=how, model__name="linear", **changes), toy.TRAIN)


def _moved(images: np.ndarray, offset: int, flipped: bool) -> np.ndarray:
    channels = [(0, 0)] * (images.ndim - 3)
    padded = np.pad(images, [(0, 0), (1, 1), (1, 1), *channels], mode="reflect")
    moved = np.roll(padded, (offset, offset), axis=(1, 2))[:, 1:-1, 1:-1]
    return np.flip(moved, axis=2) if flipped else moved


@pytest.fixture(scope="module")
def state():
    """Parameters at random: the toy's own are all alike."""
    run = _run("none")
    begun = run.init(member_of(toy.toy_config()))
    noise = np.random.default_rng(0)
    return begun._replace(params=jax.tree.map(lambda leaf: jnp.float32(noise.normal(0, 0.5, leaf.shape)), begun.params))


def _probabilities(run, state, images=TEST.images) -> np.ndarray:
    return np.asarray(jax.jit(run.predict)(state, jnp.asarray(images)))


@pytest.mark.parametrize("how", VIEWS)
def test_predictions_and_scores_are_those_of_the_averaged_probabilities(how, state):
    plain, run = _run("none"), _run(how, eval__metrics=("nll", "top2"))
    seen = [(weight, _moved(TEST.images, offset, flipped)) for weight, offset, flipped in VIEWS[how]]
    expected = sum(weight * _probabilities(plain, state, images).astype(np.float64) for weight, images in seen)
    np.testing.assert_allclose(_probabilities(run, state), expected, rtol=1e-5)
    sums = jax.device_get(jax.jit(run.evaluate)(state, device.put(TEST))).means()
    own = expected[np.arange(toy.TEST), TEST.labels]
    assert sums["loss"] == pytest.approx(-np.log(own).mean(), rel=1e-5)
    assert sums["nll"] == pytest.approx(sums["loss"])
    assert sums["accuracy"] == np.mean(expected.argmax(axis=1) == TEST.labels)
    assert sums["top2"] == np.mean((expected > own[:, None]).sum(axis=1) < 2)


@pytest.mark.parametrize("shape", [(3, 5, 7), (3, 5, 7, 2)])
@pytest.mark.parametrize("how", VIEWS)
def test_views_of_images_of_any_shape(how, shape):
    images = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)

    def logits(state, images):  # tells the views apart
        return jnp.log(1.0 + images.reshape(len(images), -1).astype(jnp.float32))

    found = np.exp(tta.averaged(logits, how)(None, jnp.asarray(images)))
    views = [(weight, 1.0 + _moved(images, offset, flipped).reshape(3, -1)) for weight, offset, flipped in VIEWS[how]]
    expected = sum(weight * view / view.sum(axis=1, keepdims=True) for weight, view in views)
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_the_average_is_finite_where_a_probability_is_0(state):
    certain = state._replace(params=jax.tree.map(lambda leaf: 1e4 * leaf, state.params))
    probabilities = _probabilities(_run("flip"), certain)
    assert np.isfinite(probabilities).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)


def test_without_it_nothing_is_added():
    def logits(state, images):
        raise AssertionError

    assert tta.averaged(logits, "none") is logits


def test_members_of_a_population_are_scored_as_alone(state):
    run, split = _run("flip+translate"), device.put(TEST)
    other = state._replace(params=jax.tree.map(lambda leaf: -leaf, state.params))
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), state, other)
    together = jax.jit(jax.vmap(run.evaluate, (0, None)))(stacked, split)
    for i, each in enumerate((state, other)):
        np.testing.assert_allclose(together.loss[i], jax.jit(run.evaluate)(each, split).loss, rtol=1e-5)
