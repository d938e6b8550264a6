from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from fmnist_jax.data import transforms

SHAPES = [(28, 28, 1), (5, 7, 3)]
MANY = 400


def _image(shape, seed: int = 0) -> np.ndarray:
    """Noise above 0, so that blank pixels can be told."""
    return np.random.default_rng(seed).uniform(0.1, 1, shape).astype(np.float32)


def _keys(number: int = MANY):
    return jax.random.split(jax.random.key(0), number)


def _many(function, *arguments, **options):
    """The function over `MANY` keys."""
    images = [jnp.asarray(image) for image in arguments]
    mapped = jax.vmap(lambda key: function(*images, key, **options))
    return jax.device_get(jax.jit(mapped)(_keys()))


def _blank(image) -> np.ndarray:
    return (image == 0).all(axis=-1)


def _is_a_box(mask: np.ndarray) -> bool:
    return bool((mask == mask.any(axis=1)[:, None] & mask.any(axis=0)).all()) and all(
        np.diff(np.flatnonzero(mask.any(axis=axis))).max(initial=1) == 1 for axis in (0, 1)
    )


def test_halved_images_are_means_of_four_pixels():
    images = np.arange(2 * 4 * 6 * 3, dtype=np.float32).reshape(2, 4, 6, 3)
    expected = (images[:, ::2, ::2] + images[:, 1::2, ::2] + images[:, ::2, 1::2] + images[:, 1::2, 1::2]) / 4
    np.testing.assert_allclose(transforms.halved(images), expected, rtol=1e-6)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_flip_mirrors_left_to_right(shape):
    image = _image(shape)
    np.testing.assert_array_equal(transforms.flip(image, jnp.bool_(True)), np.flip(image, axis=1))
    np.testing.assert_array_equal(transforms.flip(image, jnp.bool_(False)), image)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("padding", "mode"), [("zero", "constant"), ("reflect", "reflect")])
def test_a_shift_is_a_slice_of_the_padded_image(shape, padding, mode):
    image, most = _image(shape), 4
    padded = np.pad(image, ((most, most), (most, most), (0, 0)), mode=mode)
    shift = jax.jit(transforms.shift, static_argnums=2)
    for down in range(-most, most + 1):
        for right in range(-most, most + 1):
            rows, columns = slice(most - down, most - down + shape[0]), slice(most - right, most - right + shape[1])
            np.testing.assert_array_equal(shift(image, jnp.array([down, right]), padding), padded[rows, columns])


def test_a_translation_takes_every_offset_equally_often():
    image, padded = _image((6, 8, 1)), np.pad(_image((6, 8, 1)), ((2, 2), (2, 2), (0, 0)))
    crops = [padded[i : i + 6, j : j + 8] for i in range(5) for j in range(5)]
    found = _many(transforms.translate, image, pixels=2, padding="zero")
    matches = np.array([[(one == crop).all() for crop in crops] for one in found])
    assert (matches.sum(axis=1) == 1).all()
    counts = matches.sum(axis=0)
    assert ((counts - MANY / 25) ** 2 / (MANY / 25)).sum() < 52  # chi-squared of 24 degrees, p = 0.001


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("side", [1, 4, 5])
def test_cutout_blanks_a_square_that_the_border_cuts_off(shape, side):
    image = _image(shape)
    found = _many(transforms.cutout, image, side=side)
    blank = _blank(found)
    areas = blank.sum(axis=(1, 2))
    assert areas.max() == side**2
    assert areas.min() >= (side // 2) * (side // 2)
    assert all(_is_a_box(mask) for mask in blank)
    np.testing.assert_array_equal(np.where(blank[..., None], image, found), np.broadcast_to(image, found.shape))
    centres = [np.argwhere(mask).mean(axis=0).round() for mask in blank]
    assert len(np.unique(centres, axis=0)) > 0.3 * min(MANY, shape[0] * shape[1])  # anywhere


@pytest.mark.parametrize("shape", [(28, 28, 1), (12, 20, 3)])
def test_erasing_fills_a_rectangle_with_noise(shape):
    image = 2 + _image(shape)  # the noise is below 1
    found = _many(transforms.erase, image, probability=0.5)
    masks = (found <= 1).all(axis=-1)
    erased = masks.any(axis=(1, 2))
    assert erased.mean() == pytest.approx(0.5, abs=0.1)
    np.testing.assert_array_equal(np.where(masks[..., None], image, found), np.broadcast_to(image, found.shape))
    assert all(_is_a_box(mask) for mask in masks)
    areas = masks[erased].mean(axis=(1, 2))
    assert 0.01 < areas.min() < 0.06
    assert 0.34 < areas.max() < 0.44
    noise = found[found <= 1]
    assert (noise.min() >= 0, noise.mean() == pytest.approx(0.5, abs=0.02)) == (True, True)
    ratios = masks[erased].any(axis=2).sum(axis=1) / masks[erased].any(axis=1).sum(axis=1)
    assert ratios.min() < 0.7
    assert ratios.max() > 2


@pytest.mark.parametrize("probability", [0.0, 1.0])
def test_erasing_never_and_always(probability):
    found = _many(transforms.erase, 2 + _image((6, 6, 1)), probability=probability)
    assert ((found <= 1).any(axis=(1, 2, 3)) == bool(probability)).all()


@pytest.mark.parametrize("alpha", [0.05, 0.2, 1.0, 8.0])
def test_the_symmetric_beta_distribution(alpha):
    u, v = jax.random.uniform(jax.random.key(1), (2, 20_000))
    drawn = np.asarray(transforms.symmetric_beta(u, v, alpha), np.float64)
    assert np.isfinite(drawn).all()
    # 0 and 1 to the precision of float32 count as just inside.
    inside = np.clip(drawn, 1e-9, 1 - 1e-9)
    uniform = stats.beta(alpha, alpha).cdf(inside)
    middle = (drawn > 1e-3) & (drawn < 1 - 1e-3)
    low, high = stats.beta(alpha, alpha).cdf([1e-3, 1 - 1e-3])
    assert middle.mean() == pytest.approx(high - low, abs=0.015)
    assert stats.kstest((uniform[middle] - low) / (high - low), "uniform").pvalue > 0.01


@pytest.mark.parametrize("alpha", [0.2, 1.0])
def test_mixup_averages_with_the_share_of_the_label(alpha):
    image, partner = _image((5, 7, 3)), _image((5, 7, 3), 1)
    mixed, shares = _many(transforms.mixup, image, partner, alpha=alpha)
    weights = shares[:, None, None, None]
    np.testing.assert_allclose(mixed, weights * image + (1 - weights) * partner, rtol=1e-5)
    assert ((shares >= 0) & (shares <= 1)).all()
    assert shares.mean() == pytest.approx(0.5, abs=0.07)
    assert shares.var() == pytest.approx(0.25 / (2 * alpha + 1), rel=0.15)  # of Beta(alpha, alpha)


@pytest.mark.parametrize("shape", [(28, 28, 1), (12, 20, 3)])
def test_cutmix_pastes_a_box_whose_share_is_that_of_the_label(shape):
    image, partner = _image(shape), 1 + _image(shape)
    mixed, shares = _many(transforms.cutmix, image, partner, alpha=1.0)
    pasted = (mixed > 1).all(axis=-1)
    np.testing.assert_array_equal(mixed, np.where(pasted[..., None], partner, image))
    np.testing.assert_allclose(shares, 1 - pasted.mean(axis=(1, 2)), rtol=1e-5, atol=1e-6)
    assert all(_is_a_box(mask) for mask in pasted)
    assert shares.min() < 0.4
    assert shares.max() > 0.95
