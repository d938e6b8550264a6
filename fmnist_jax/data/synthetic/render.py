"""Turns random parameters into splits of images; the same seed gives the same bytes."""

from __future__ import annotations

import numpy as np

from fmnist_jax.data.dataset import IMAGE_SIZE, NUM_CLASSES, Split
from fmnist_jax.data.synthetic.cloth import shade
from fmnist_jax.data.synthetic.pose import place
from fmnist_jax.data.synthetic.sampling import Parameters, sample
from fmnist_jax.data.synthetic.wardrobe import WARDROBES

# Images drawn at once: small enough for their arrays to stay in a processor's cache.
_CHUNK = 128
_TRAIN, _TEST = 0, 1


def generate(seed: int = 0, train_examples: int = 12_000, test_examples: int = 2_000) -> tuple[Split, Split]:
    """Draws the training and the test split of the built-in clothing set.

    Classes are balanced within one example, the order is shuffled, the background is 0. The splits come from disjoint
    random streams; neither changes with the size of the other.

    **Arguments:**

    - `seed`: fixes every byte.
    - `train_examples`, `test_examples`: the sizes of the splits.

    **Returns:** the training and the test split.
    """
    return _split(seed, _TRAIN, train_examples), _split(seed, _TEST, test_examples)


def _split(seed: int, which: int, examples: int) -> Split:
    labels = (np.arange(examples) % NUM_CLASSES).astype(np.uint8)
    np.random.default_rng((seed, which, NUM_CLASSES)).shuffle(labels)
    images = np.empty((examples, IMAGE_SIZE, IMAGE_SIZE), np.uint8)
    for label in range(NUM_CLASSES):
        members = np.flatnonzero(labels == label)
        images[members] = _garments(label, len(members), np.random.SeedSequence((seed, which, label)))
    return Split(images, labels)


def _garments(label: int, count: int, stream: np.random.SeedSequence) -> np.ndarray:
    """`uint8[count, 28, 28]` of one class; shape and grain have streams of their own, so chunks leave no trace."""
    shape_stream, grain_stream = (np.random.default_rng(child) for child in stream.spawn(2))
    parameters = sample(WARDROBES[label][1], count, shape_stream)
    images = np.empty((count, IMAGE_SIZE, IMAGE_SIZE), np.uint8)
    for start in range(0, count, _CHUNK):
        part = slice(start, start + _CHUNK)
        chunk = {name: values[part] for name, values in parameters.items()}
        grain = 2.0 * grain_stream.random(images[part].shape, dtype=np.float32) - 1.0
        images[part] = _draw(label, chunk, grain)
    return images


def _draw(label: int, p: Parameters, grain: np.ndarray) -> np.ndarray:
    u, v = place(p)
    cover, tone = WARDROBES[label][0](u, v, p)
    value = cover * shade(u - p["axis"], v, tone, grain, p)
    return (255.0 * value + 0.5).astype(np.uint8)
