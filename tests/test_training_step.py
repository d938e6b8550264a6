"""Our training step against a NumPy float64 implementation of the same networks and optimizers.

The step is what runs in training: `make_run(...).epoch`, over one or two batches.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import numpy_reference as reference
import optax
import pytest
import toy
from flax import nnx

from fmnist_jax import models, optim
from fmnist_jax.data import device
from fmnist_jax.data.dataset import Split
from fmnist_jax.models.keras_cnn import KerasCNN
from fmnist_jax.train import batches
from fmnist_jax.train.network import TrainState
from fmnist_jax.train.run import make_run, member_of

BATCH = 4
OPTIMIZERS = {"rmsprop": reference.RMSprop, "adam": reference.Adam}


class _Kept(nnx.Variable):
    """What dropout multiplied each unit by."""


class _RecordingDropout(nnx.Dropout):
    """Flax's dropout, which also keeps the mask that it drew, `[BATCH, 256]`."""

    def __init__(self):
        super().__init__(0.5)
        self.kept = _Kept(jnp.zeros((BATCH, 256)))

    def __call__(self, inputs, *, deterministic=None, rngs=None):
        mask = super().__call__(jnp.ones_like(inputs), deterministic=deterministic, rngs=rngs)
        if not deterministic:
            self.kept[...] = mask
        return inputs * mask


@models.register("model3-recording", "model3, which keeps its dropout masks")
def _recording(*, compute, rngs):
    model = KerasCNN(third=128, hidden=256, compute=compute, rngs=rngs)
    model.dropout = _RecordingDropout()
    return model


@pytest.fixture
def in_order(monkeypatch):
    """Epochs go through the images in order, so that the reference knows what is in which batch."""
    monkeypatch.setattr(batches, "shuffled", lambda key, examples, size: batches.in_order(examples, size))


def _garments(examples: int) -> Split:
    """Noise on the left half, and on the right the empty background that most of a real image is."""
    rng = np.random.default_rng(1)
    images = rng.integers(0, 256, (examples, 28, 28), np.uint8)
    images[:, :, 14:] = 0
    return Split(images, rng.integers(0, 10, examples).astype(np.uint8))


def _drawn(shapes):
    """Parameters of the size that Glorot's are, biases too: at 0 they would stand on ReLU's kink."""
    rng = np.random.default_rng(2)
    return jax.tree.map(lambda leaf: jnp.asarray(rng.normal(0, 0.05, leaf.shape), jnp.float32), shapes)


def _begin(model: str, optimizer: str, examples: int):
    """Returns a state before the first step, the compiled epoch, and the reference's optimizer."""
    config = toy.toy_config(model__name=model, optimizer__name=optimizer, train__batch_size=BATCH)
    run, member = make_run(config, examples), member_of(config)
    shapes = jax.eval_shape(run.init, member)
    params, others = _drawn(shapes.params), jax.tree.map(jnp.zeros_like, shapes.model_state)
    opt_state = optim.build(optimizer, member.hyperparameters, lambda step: 1.0).init(params)
    state = TrainState(jnp.int32(0), jax.random.key_data(jax.random.key(0)), params, others, opt_state, None)
    epoch = jax.jit(run.epoch)
    rule = OPTIMIZERS[optimizer](**{name: float(value) for name, value in member.hyperparameters.items()})
    return state, lambda state, split: epoch(state, member, device.put(split)), rule


def _assert_close(ours, expected, *, rtol: float, atol: float) -> None:
    assert jax.tree.structure(ours) == jax.tree.structure(expected)
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=atol)


def _assert_step_agrees(state: TrainState, params: reference.Params, rule) -> None:
    """float32 rounds to 6e-8 of a number, so that sums of thousands of products keep five digits of the largest."""
    moments = {"mu": rule.m, "nu": rule.v} if isinstance(rule, reference.Adam) else {"nu": rule.v}
    for name, expected in moments.items():
        ours = optax.tree.get(state.opt_state, name)
        largest = max(np.abs(leaf).max() for leaf in jax.tree.leaves(expected))
        _assert_close(ours, expected, rtol=1e-5, atol=1e-6 * largest)
    # Half a per cent of a step: where a gradient is almost 0, dividing by its root mean square magnifies its rounding.
    _assert_close(state.params, params, rtol=0, atol=5e-3 * rule.rate)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_two_steps_of_model1_the_second_on_a_masked_batch(in_order, optimizer):
    split = _garments(BATCH + 2)
    state, epoch, rule = _begin("model1", optimizer, len(split))
    params, losses = reference.float64(state.params), []
    state, counts = epoch(state, split)
    for rows in (slice(0, BATCH), slice(BATCH, BATCH + 2)):
        loss, gradients = reference.loss_and_gradients(reference.MODEL1, params, split.images[rows], split.labels[rows])
        losses.append(loss)
        params = rule.step(params, gradients)
    assert int(counts.examples) == BATCH + 2
    np.testing.assert_allclose(counts.loss, BATCH * losses[0] + 2 * losses[1], rtol=1e-6)
    _assert_step_agrees(state, params, rule)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_one_and_two_steps_of_model3_under_its_own_dropout_masks(in_order, optimizer):
    split = _garments(BATCH)
    state, epoch, rule = _begin("model3-recording", optimizer, BATCH)
    params, masks = reference.float64(state.params), []
    for _ in range(2):
        state, counts = epoch(state, split)
        masks.append(np.asarray(state.model_state["dropout"]["kept"], np.float64))
        loss, gradients = reference.loss_and_gradients(reference.MODEL3, params, split.images, split.labels, masks[-1])
        params = rule.step(params, gradients)
        np.testing.assert_allclose(counts.loss, BATCH * loss, rtol=1e-6)
        _assert_step_agrees(state, params, rule)
    assert set(np.unique(masks)) == {0.0, 2.0}
    assert 0.4 < np.mean(np.array(masks) == 0) < 0.6
    assert (masks[0] != masks[1]).any()


@pytest.mark.parametrize(
    ("model", "network"),
    [
        ("model1", reference.MODEL1),
        ("model2", reference.MODEL2),
        ("model3", reference.MODEL3),
        ("2c2d", reference.TWO_C_TWO_D),
    ],
)
def test_logits(model, network):
    structure, shapes = nnx.split(nnx.eval_shape(lambda: models.create(model, nnx.Rngs(params=0))))
    params = _drawn(nnx.to_pure_dict(shapes))
    images = _garments(3).images
    ours = jax.jit(lambda params, images: nnx.merge(structure, params)(device.normalise(images), train=False))
    expected = reference.logits(network, reference.float64(params), images)
    np.testing.assert_allclose(ours(params, images), expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())


def test_the_reference_gradients_are_those_of_its_loss():
    """The reference itself, against differences of its loss along random directions."""
    rng = np.random.default_rng(0)
    images, labels, mask = rng.integers(0, 256, (2, 28, 28)), np.array([3, 8]), 2.0 * rng.integers(0, 2, (2, 256))
    shapes = nnx.state(nnx.eval_shape(lambda: models.create("model3", nnx.Rngs(params=0))), nnx.Param)
    params = reference.float64(_drawn(nnx.to_pure_dict(shapes)))
    _, gradients = reference.loss_and_gradients(reference.MODEL3, params, images, labels, mask)
    for layer, parts in params.items():
        for part, w in parts.items():
            direction = rng.normal(size=w.shape)
            plus, minus = (
                reference.loss_and_gradients(
                    reference.MODEL3,
                    params | {layer: parts | {part: w + distance * direction}},
                    images,
                    labels,
                    mask,
                )[0]
                for distance in (1e-8, -1e-8)
            )
            np.testing.assert_allclose((plus - minus) / 2e-8, np.sum(gradients[layer][part] * direction), rtol=1e-5)
