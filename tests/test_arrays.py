from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra import numpy as hnp

from fmnist_jax.data import Dataset, dataset_from_arrays
from fmnist_jax.errors import DataError

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 5, 4), np.uint8)
LABELS = np.array([0, 1, 2, 0, 1, 2])


def made(images=IMAGES, labels=LABELS, test=(IMAGES, LABELS), **options) -> Dataset:
    return dataset_from_arrays((images, labels), test, **options)


def test_arrays_are_kept_and_described():
    dataset = made(class_names=["cat", "dog", "owl"], name="pets")
    assert (dataset.train.images == IMAGES).all()
    assert dataset.train.labels.tolist() == LABELS.tolist()
    assert (dataset.train.images.dtype, dataset.train.labels.dtype) == (np.uint8, np.uint8)
    assert (dataset.name, dataset.description.num_classes) == ("pets", 3)
    assert (dataset.description.image_shape, dataset.description.array_shape) == ((5, 4, 1), (5, 4))
    assert dataset.validation_is_test
    assert not dataset.synthetic


def test_a_single_channel_is_dropped_and_several_are_kept():
    assert made(IMAGES[..., None], test=(IMAGES, LABELS)).train.images.shape == (6, 5, 4)
    colour = np.stack([IMAGES] * 3, axis=-1)
    assert made(colour, test=(colour, LABELS)).description.image_shape == (5, 4, 3)


def test_digests_tell_contents_apart_and_are_those_of_the_pixels():
    first, same = made(), made(IMAGES.astype(np.int64), LABELS.astype(np.uint16))
    assert first.digests == same.digests
    assert set(first.digests) == {"train-images", "train-labels", "test-images", "test-labels"}
    other = IMAGES.copy()
    other[0, 0, 0] ^= 1
    assert made(other).digests["train-images"] != first.digests["train-images"]


@given(hnp.arrays(np.uint8, (3, 2, 2)), st.sampled_from([np.float16, np.float32, np.float64]))
def test_floats_that_are_bytes_are_converted_exactly(images, dtype):
    labels = np.arange(3)
    for scaled in (images.astype(dtype), (images / 255).astype(dtype)):
        if images.max() > 1:  # of zeros and ones alone nobody can tell
            assert (made(scaled, labels, (images, labels)).train.images == images).all()


def test_masks_are_black_and_white():
    mask = IMAGES > 128
    assert (made(mask).train.images == 255 * mask).all()


def test_more_classes_than_a_byte_holds():
    labels = np.arange(300)
    images = np.zeros((300, 2, 2), np.uint8)
    dataset = made(images, labels, (images, labels))
    assert dataset.train.labels.tolist() == labels.tolist()
    assert (dataset.description.num_classes, dataset.description.class_names[-1]) == (300, "299")


def _with(value: float) -> np.ndarray:
    images = IMAGES.astype(np.float32)
    images[2, 3, 1] = value
    return images


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": _with(np.nan)}, "the images of train hold 1 pixels that are not finite"),
        ({"images": _with(np.inf)}, "not finite"),
        ({"images": _with(-1)}, "are float32 from -1 to [0-9]+; scale them to 0 to 255"),
        ({"images": IMAGES.astype(int) * 2}, "are int64 from [0-9]+ to [0-9]+; scale them"),
        ({"images": _with(0.5)}, r"no uint8 can hold without loss; round them.*np\.rint\(1 \* images\)"),
        ({"images": IMAGES / 1000}, r"np\.rint\(255 \* images\)\.astype\(np\.uint8\)"),
        ({"images": IMAGES.astype(str)}, "are <U3; convert them to uint8"),
        ({"images": IMAGES.reshape(6, 20)}, r"the images of train have the shape \[6, 20\]; give \[n, height, width\]"),
        ({"images": IMAGES[:, :, :3]}, "the images of train are 5x3, those of test 5x4; give all the same shape"),
        ({"images": np.stack([IMAGES] * 3, -1)}, "the images of train are 5x4x3, those of test 5x4;"),
        ({"images": IMAGES[:0], "labels": LABELS[:0]}, "train is empty"),
        ({"test": (IMAGES[:0], LABELS[:0])}, "test is empty"),
        ({"labels": LABELS[:5]}, "train has 6 images and 5 labels"),
        ({"labels": LABELS - 1}, "the labels of train go down to -1"),
        ({"labels": LABELS.astype(float)}, "the labels of train are float64; convert them to integers"),
        ({"labels": np.eye(3, dtype=int)[LABELS]}, r"shape \[6, 3\]; give one integer an image, for one-hot rows"),
        ({"labels": LABELS * 0, "test": (IMAGES, LABELS * 0)}, "two classes or more"),
        ({"class_names": ("a", "b")}, "train has the label 2, but there are 2 class names"),
        ({"class_names": tuple("abcd")}, "there are 4 class names, but labels of 3 classes, 0 to 2"),
        ({"class_names": ("a", "b", "a")}, "class names must be strings that differ"),
        ({"class_names": ("a", "b", 3)}, "class names must be strings that differ"),
    ],
)
def test_what_is_wrong_with_arrays_is_said_in_one_line(changes, message):
    with pytest.raises(DataError, match=message) as raised:
        made(**changes)
    assert "\n" not in str(raised.value)
