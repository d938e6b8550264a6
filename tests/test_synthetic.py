"""The built-in clothing set: what a caller relies on, and that it is worth training on."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from fmnist_jax.data import synthetic
from fmnist_jax.data.dataset import FASHION_MNIST, Split
from fmnist_jax.data.synthetic import generate


@pytest.fixture(scope="module")
def splits() -> tuple[Split, Split]:
    return generate(seed=0, train_examples=2000, test_examples=1000)


def _same(first: Split, second: Split) -> bool:
    return np.array_equal(first.images, second.images) and np.array_equal(first.labels, second.labels)


def _flat(split: Split) -> np.ndarray:
    return split.images.reshape(len(split), -1).astype(np.float64)


def _class_means(split: Split) -> np.ndarray:
    return np.stack([_flat(split)[split.labels == label].mean(0) for label in range(FASHION_MNIST.num_classes)])


def test_shapes_and_types(splits):
    for split, size in zip(splits, (2000, 1000), strict=True):
        assert split.images.shape == (size, 28, 28)
        assert split.images.dtype == np.uint8
        assert split.labels.shape == (size,)
        assert split.labels.dtype == np.uint8


@pytest.mark.parametrize(("train_examples", "test_examples"), [(1000, 200), (103, 57), (7, 0)])
def test_classes_are_balanced_within_one(train_examples, test_examples):
    for split, size in zip(generate(1, train_examples, test_examples), (train_examples, test_examples), strict=True):
        counts = np.bincount(split.labels, minlength=FASHION_MNIST.num_classes)
        assert counts.sum() == size
        assert counts.max() - counts.min() <= 1


def test_order_is_shuffled(splits):
    for split in splits:
        # About a tenth of neighbours agree by chance; in sorted or dealt order all or none would.
        agree = np.mean(split.labels[1:] == split.labels[:-1])
        assert 0.05 < agree < 0.15


def test_same_seed_gives_the_same_bytes(splits):
    again = generate(seed=0, train_examples=2000, test_examples=1000)
    assert all(_same(first, second) for first, second in zip(splits, again, strict=True))


def test_a_seed_gives_the_same_images_on_every_machine():
    # Results on this set can only be compared while it stays what it is. A change of the ranges changes this digest.
    digest = hashlib.sha256()
    for split in generate(seed=0, train_examples=300, test_examples=300):
        digest.update(split.images.tobytes())
        digest.update(split.labels.tobytes())
    assert digest.hexdigest()[:16] == "ed193b3259d36f4e"


def test_other_seeds_give_other_images(splits):
    other, _ = generate(seed=1, train_examples=2000, test_examples=0)
    assert not (_fingerprints(other) & _fingerprints(splits[0]))


def test_chunk_size_has_no_effect(splits, monkeypatch):
    monkeypatch.setattr(synthetic, "_CHUNK", 37)
    again = generate(seed=0, train_examples=2000, test_examples=1000)
    assert all(_same(first, second) for first, second in zip(splits, again, strict=True))


def test_a_split_does_not_depend_on_the_others_size(splits):
    _, test = generate(seed=0, train_examples=10, test_examples=1000)
    assert _same(test, splits[1])


def _fingerprints(split: Split) -> set[bytes]:
    return {image.tobytes() for image in split.images}


def test_no_image_occurs_twice(splits):
    train, test = splits
    assert len(_fingerprints(train) | _fingerprints(test)) == len(train) + len(test)


def test_background_is_black_and_garments_are_not(splits):
    train, _ = splits
    assert np.all(np.mean(train.images == 0, axis=(1, 2)) > 0.1)
    assert np.all(np.mean(train.images > 0, axis=(1, 2)) > 0.03)


@pytest.mark.parametrize("label", range(FASHION_MNIST.num_classes), ids=FASHION_MNIST.class_names)
def test_each_class_has_a_shape(splits, label):
    mean = _class_means(splits[0])[label]
    # Dark around, bright somewhere: a silhouette shows through the average.
    assert mean.max() > 80
    assert mean.min() < 5
    assert 15 < mean.mean() < 140


def test_neither_trivial_nor_impossible_for_the_nearest_class_mean(splits):
    train, test = splits
    means = _class_means(train)
    distances = np.sum(means**2, axis=1) - 2.0 * _flat(test) @ means.T
    accuracy = np.mean(np.argmin(distances, axis=1) == test.labels)
    assert 0.5 < accuracy < 0.8


def test_tops_are_nearer_to_each_other_than_to_the_rest(splits):
    means = _class_means(splits[0])
    distance = np.linalg.norm(means[:, None] - means[None], axis=-1)
    shirt = FASHION_MNIST.class_names.index("Shirt")
    nearest = {FASHION_MNIST.class_names[label] for label in np.argsort(distance[shirt])[1:4]}
    assert nearest == {"T-shirt/top", "Pullover", "Coat"}
