"""A procedural clothing set: a stand-in where the real data set is unavailable.

Ten classes of 28x28 grey garments, drawn from random shape, cloth and pose parameters, with the labels of
Fashion-MNIST. It is not Fashion-MNIST, and no result on it is one: every report of it says SYNTHETIC. It exercises the
whole pipeline and is hard in the way the real set is: the ranges of T-shirt, pullover, coat and shirt overlap
(see `tops.py`), so a good classifier errs there. No label is wrong: each is the class whose ranges the garment was
drawn from.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fmnist_jax.data.dataset import FASHION_MNIST, Split
from fmnist_jax.data.synthetic.footwear import BOOT, SANDAL, SNEAKER, draw_closed_shoe, draw_sandal
from fmnist_jax.data.synthetic.garment import Drawing, Parameters, Ranges, garment_coordinates, sample, shade
from fmnist_jax.data.synthetic.tops import COAT, DRESS, PULLOVER, SHIRT, T_SHIRT, draw_top
from fmnist_jax.data.synthetic.trousers_and_bags import BAG, TROUSERS, draw_bag, draw_trousers

Draw = Callable[[np.ndarray, np.ndarray, Parameters], Drawing]

# In the order of Fashion-MNIST's classes: how a class is drawn, and the ranges of its parameters.
_CLASSES: tuple[tuple[Draw, Ranges], ...] = (
    (draw_top, T_SHIRT),
    (draw_trousers, TROUSERS),
    (draw_top, PULLOVER),
    (draw_top, DRESS),
    (draw_top, COAT),
    (draw_sandal, SANDAL),
    (draw_top, SHIRT),
    (draw_closed_shoe, SNEAKER),
    (draw_bag, BAG),
    (draw_closed_shoe, BOOT),
)

_HEIGHT, _WIDTH, _ = FASHION_MNIST.image_shape

# Images drawn together: few enough for their arrays to stay in the processor's cache.
_CHUNK = 128


def generate(seed: int = 0, train_examples: int = 12_000, test_examples: int = 2_000) -> tuple[Split, Split]:
    """Draws the training and the test split of the built-in clothing set.

    Classes are balanced within one example, the order is shuffled, the background is 0. `seed` fixes every byte. Each
    split has its own random stream, so neither depends on the size of the other.
    """
    return _split(seed, 0, train_examples), _split(seed, 1, test_examples)


def _split(seed: int, which: int, examples: int) -> Split:
    labels = (np.arange(examples) % len(_CLASSES)).astype(np.uint8)
    np.random.default_rng((seed, which, len(_CLASSES))).shuffle(labels)
    images = np.empty((examples, _HEIGHT, _WIDTH), np.uint8)
    for label in range(len(_CLASSES)):
        members = np.flatnonzero(labels == label)
        images[members] = _garments(label, len(members), np.random.SeedSequence((seed, which, label)))
    return Split(images, labels)


def _garments(label: int, count: int, stream: np.random.SeedSequence) -> np.ndarray:
    """`uint8[count, 28, 28]` of one class. Shape and grain have their own random streams: chunk size has no effect."""
    shape_stream, grain_stream = (np.random.default_rng(child) for child in stream.spawn(2))
    draw, ranges = _CLASSES[label]
    parameters = sample(ranges, count, shape_stream)
    images = np.empty((count, _HEIGHT, _WIDTH), np.uint8)
    for start in range(0, count, _CHUNK):
        part = slice(start, start + _CHUNK)
        chunk = {name: values[part] for name, values in parameters.items()}
        grain = 2.0 * grain_stream.random(images[part].shape, dtype=np.float32) - 1.0
        u, v = garment_coordinates(chunk)
        cover, tone = draw(u, v, chunk)
        value = cover * shade(u - chunk["axis"], v, tone, grain, chunk)
        images[part] = (255.0 * value + 0.5).astype(np.uint8)
    return images
