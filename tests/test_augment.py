from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fmnist_jax.config.schema import default_config
from fmnist_jax.data import augment, device
from fmnist_jax.data.augment import Augmented
from fmnist_jax.data.dataset import Split
from fmnist_jax.errors import ConfigError, UnknownNameError

EXAMPLES, CLASSES, SHAPE = 40, 7, (9, 11, 3)
TRAIN = Split(
    np.random.default_rng(0).integers(1, 256, (EXAMPLES, *SHAPE)).astype(np.uint8),
    np.arange(EXAMPLES).astype(np.uint8) % CLASSES,
)
ORIGINALS = np.asarray(jax.jit(device.normalise)(TRAIN.images))
ROWS = np.arange(EXAMPLES)
EVERYTHING = {"flip": "alternating", "translate": 2, "cutout": 3, "erase": 0.5, "cutmix": 1.0}


def _made(image_shape=SHAPE, **keys):
    config = default_config()
    config.augment.update(keys)
    return augment.make(config, image_shape, CLASSES)


@functools.cache
def _compiled(keys):
    augmentation = _made(**dict(keys))
    seen = lambda key, epoch, train, rows: augmentation.of_epoch(key, epoch, train)(rows)  # noqa: E731
    return jax.jit(seen)


def _seen(rows=ROWS, epoch: int = 0, seed: int = 0, **keys) -> Augmented:
    """The examples `rows` as the network sees them."""
    seen = _compiled(tuple(keys.items()))
    return jax.device_get(seen(jax.random.key(seed), jnp.int32(epoch), device.put(TRAIN), jnp.asarray(rows)))


def _flipped(epoch: int, seed: int = 0, **keys) -> np.ndarray:
    """Which examples are mirrored; checks that the others are as they were."""
    images = _seen(epoch=epoch, seed=seed, **keys).images
    flipped = (images == ORIGINALS[:, :, ::-1]).all(axis=(1, 2, 3))
    assert (flipped ^ (images == ORIGINALS).all(axis=(1, 2, 3))).all()
    return flipped


@pytest.mark.parametrize("keys", [{}, {"translate_padding": "reflect"}])
def test_nothing_is_done_where_nothing_is_switched_on(keys):
    assert not _made(**keys).active
    seen = _seen(ROWS[::-1], **keys)
    np.testing.assert_array_equal(seen.images, ORIGINALS[::-1])
    assert seen.targets is None


def test_an_alternating_flip_shows_both_sides_in_two_successive_epochs():
    at_first, then, third = (_flipped(epoch, flip="alternating") for epoch in range(3))
    assert (at_first != then).all()
    assert (at_first == third).all()
    assert 0.2 < at_first.mean() < 0.8
    assert (at_first != _flipped(0, seed=1, flip="alternating")).any()


def test_a_random_flip_is_drawn_anew_in_each_epoch():
    a, b = (_flipped(epoch, flip="random") for epoch in range(2))
    assert 0.2 < (a == b).mean() < 0.8


@pytest.mark.parametrize("keys", [EVERYTHING, {"mixup": 0.4}])
@pytest.mark.parametrize("rows", [np.random.default_rng(1).permutation(EXAMPLES), ROWS[3:10]])
def test_an_augmented_example_does_not_depend_on_its_batch(keys, rows):
    whole, batch = _seen(**keys), _seen(rows, **keys)
    # How mixup's share and average are rounded depends on how the program was compiled.
    tolerance = 1e-6 if "mixup" in keys else 0
    np.testing.assert_allclose(batch.images, whole.images[rows], rtol=0, atol=tolerance)
    np.testing.assert_allclose(batch.targets, whole.targets[rows], rtol=0, atol=tolerance)


def test_seed_and_epoch_decide_everything():
    first, again = _seen(**EVERYTHING), _seen(**EVERYTHING)
    np.testing.assert_array_equal(first.images, again.images)
    for other in (_seen(epoch=2, **EVERYTHING), _seen(seed=1, **EVERYTHING)):
        assert (first.images != other.images).any(axis=(1, 2, 3)).mean() > 0.9
        assert (first.targets != other.targets).any(axis=1).mean() > 0.7  # a partner may be of the same class


def test_a_member_of_a_population_sees_what_it_sees_alone():
    augmentation, train, rows = _made(**EVERYTHING), device.put(TRAIN), jnp.asarray(ROWS)
    keys = jnp.stack([jax.random.key(seed) for seed in (0, 1)])
    seen = jax.vmap(lambda key, rows: augmentation.of_epoch(key, jnp.int32(1), train)(rows))
    together = jax.jit(seen)(keys, jnp.stack([rows, rows[::-1]]))
    for seed, order in enumerate((ROWS, ROWS[::-1])):
        alone = _seen(order, epoch=1, seed=seed, **EVERYTHING)
        np.testing.assert_array_equal(together.images[seed], alone.images)
        np.testing.assert_array_equal(together.targets[seed], alone.targets)


@pytest.mark.parametrize("mixing", [{"mixup": 1.0}, {"cutmix": 1.0}])
def test_mixing_gives_the_shares_of_both_labels(mixing):
    seen = _seen(**mixing)
    np.testing.assert_allclose(seen.targets.sum(axis=1), 1, rtol=1e-6)
    assert ((seen.targets > 0).sum(axis=1) <= 2).all()
    own = seen.targets[ROWS, TRAIN.labels]
    untouched = (seen.images == ORIGINALS).all(axis=(1, 2, 3))
    np.testing.assert_array_equal(own[untouched], 1)
    if "cutmix" not in mixing:
        # The partner is the one of whose images the mixture is made.
        for image, target, original in zip(seen.images, seen.targets, ORIGINALS, strict=True):
            candidates = [
                target[label] * other + (1 - target[label]) * original
                for other, label in zip(ORIGINALS, TRAIN.labels, strict=True)
            ]
            errors = [np.abs(image - candidate).max() for candidate in candidates]
            assert min(errors) < 1e-5 or target.max() > 0.999


def test_both_mixings_are_used_where_both_are_on():
    both, mixup, cutmix = (
        _seen(**keys).images for keys in ({"mixup": 1.0, "cutmix": 1.0}, {"mixup": 1.0}, {"cutmix": 1.0})
    )
    averaged, pasted = ((both == other).all(axis=(1, 2, 3)) for other in (mixup, cutmix))
    assert (averaged | pasted).all()
    assert 0.2 < averaged.mean() < 0.8


def test_a_single_example_is_its_own_partner():
    split = device.DeviceSplit(jnp.asarray(TRAIN.images[:1]), jnp.int32([3]))
    seen = _compiled((("mixup", 1.0),))(jax.random.key(0), jnp.int32(0), split, jnp.int32([0]))
    np.testing.assert_allclose(seen.images, ORIGINALS[:1], rtol=1e-6)
    assert seen.targets[0, 3] == pytest.approx(1)


def test_images_of_one_channel():
    split = device.DeviceSplit(jnp.asarray(TRAIN.images[..., 0]), jnp.asarray(TRAIN.labels, jnp.int32))
    seen = _compiled((("flip", "random"),))(jax.random.key(0), jnp.int32(0), split, jnp.asarray(ROWS))
    assert seen.images.shape == (EXAMPLES, 9, 11, 1)


def test_functions_of_ones_own_get_each_image_with_a_key_of_its_own():
    augment.register("my-noise", lambda image, key: image + jax.random.uniform(key, ()))
    augment.register("my-negative", lambda image, key: 1 - image)
    added = _seen(custom=("my-noise",)).images - ORIGINALS
    np.testing.assert_allclose(added, np.broadcast_to(added[:, :1, :1, :1], added.shape), atol=1e-6)
    assert len(np.unique(added[:, 0, 0, 0])) == EXAMPLES
    in_order = _seen(custom=("my-negative", "my-noise")).images
    assert (in_order - (1 - ORIGINALS) >= -1e-6).all()
    after = _seen(cutout=3, custom=("my-negative",)).images
    assert (after == 1).any(axis=(1, 2, 3)).all()  # where the cutout was


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda image, key: image[1:], r"maps an image float32\[9, 11, 3\] to float32\[8, 11, 3\]"),
        (lambda image, key: image > 0, r"maps .* to bool\[9, 11, 3\]; it must keep shape and dtype"),
        (lambda image, key: (image, key), "must return one array, not tuple"),
        (lambda image, key: image @ image, r"fails: TypeError: dot"),
        (lambda image: image, r"fails: TypeError: .* takes 1 positional argument"),
    ],
)
def test_a_function_that_does_not_keep_to_the_contract_is_refused(function, message):
    augment.register("my-wrong", function)
    with pytest.raises(ConfigError, match=f"^augmentation 'my-wrong' {message}") as caught:
        _made(custom=("my-wrong",))
    assert "\n" not in str(caught.value)


def test_an_unknown_name_is_refused():
    augment.register("my-noise", lambda image, key: image)
    with pytest.raises(UnknownNameError, match=r"config\.augment\.custom must be one of .*; did you mean 'my-noise'"):
        _made(custom=("my-nose",))


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [("translate", 9, "at most 8 where images are 9x11"), ("cutout", 10, "at most 9 where")],
)
def test_a_size_beyond_the_images_is_refused(key, value, message):
    with pytest.raises(ConfigError, match=rf"config\.augment\.{key} must be {message}.*, not {value}"):
        _made(**{key: value})
