"""Augmentation of training images on the device: what `config.augment` switches on, and what a user registers.

Every draw is keyed by the run's key, the epoch and the example's index in the training split, so an augmented image
depends neither on its batch nor on the devices.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
from jax import Array
from ml_collections import ConfigDict

from fmnist_jax.config.registry import Registry
from fmnist_jax.data import transforms
from fmnist_jax.data.device import DeviceSplit, normalise
from fmnist_jax.data.transforms import Mixed
from fmnist_jax.errors import ConfigError
from fmnist_jax.runtime import batch_sharding
from fmnist_jax.runtime.user_code import output

AugmentationFunction: TypeAlias = Callable[[Array, Array], Array]
Mixer: TypeAlias = Callable[[Array, Array, Array], Mixed]

AUGMENTATIONS: Registry[AugmentationFunction] = Registry("an augmentation", "config.augment.custom")

# The purpose of a key, folded into the key of an example in an epoch.
_FLIP, _TRANSLATE, _CUTOUT, _ERASE, _PARTNER, _CHOICE, _MIX, _CUSTOM = range(8)


def register(name: str, function: AugmentationFunction) -> None:
    """Registers an augmentation, for `config.augment.custom`; a second one under the same name replaces the first.

    **Arguments:**

    - `function`: `function(image, key) -> image` of one example, `float32[height, width, channels]` in [0, 1], of
      unchanged shape and dtype. `key` is a typed PRNG key of this example in this epoch. It is vmapped.
    """
    AUGMENTATIONS.register(name, function)


class Augmented(NamedTuple):
    """A batch as the network sees it.

    **Attributes:**

    - `images`: `float32[batch, height, width, channels]`.
    - `targets`: `float32[batch, classes]`, rows that sum to 1; `None` where images are not mixed.
    """

    images: Array
    targets: Array | None


class _Keys(NamedTuple):
    """The key of draws that hold for the whole run, that of draws of this epoch, and whether its number is odd."""

    run: Array
    epoch: Array
    is_odd: Array


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """The augmentation of a run.

    **Attributes:**

    - `alternating_flip`: mirror each image or not at random in epoch 0, then every other epoch, so that two successive
      epochs show both (Jordan 2024, arXiv 2404.00498, sec. 3.6).
    - `functions`: of an image and a key, each with the purpose of its key, in their order.
    - `mixers`: of an image, its partner and a key; where there are two, each example draws one.
    - `num_classes`.
    """

    alternating_flip: bool
    functions: tuple[tuple[int, AugmentationFunction], ...]
    mixers: tuple[Mixer, ...]
    num_classes: int

    @property
    def active(self) -> bool:
        """Whether anything is switched on."""
        return bool(self.alternating_flip or self.functions or self.mixers)

    def of_epoch(self, key: Array, epoch: Array, train: DeviceSplit) -> Callable[[Array], Augmented]:
        """Returns the function from `rows`, `int32[batch]`, to these examples as the network sees them in an epoch.

        The partner of an example is any other, as the network sees it in the same epoch without mixing.

        **Arguments:**

        - `key`: of the run; `epoch`: `int32[]`, 0-based; `train`: the training split.
        """
        if not self.active:
            return lambda rows: Augmented(normalise(train.images[rows]), None)
        keys = _Keys(jax.random.fold_in(key, 0), jax.random.fold_in(key, epoch + 1), epoch % 2 == 1)
        # Each device augments its own shard, so that nothing depends on how the compiler partitions it.
        return lambda rows: Augmented(*batch_sharding.shard_map_batch(self._augmented, (rows,), (keys, train)))

    def _augmented(self, rows: Array, keys: _Keys, train: DeviceSplit) -> Augmented:
        if not self.mixers:
            return Augmented(self._unmixed(rows, keys, train), None)
        own_keys = self._example_keys(rows, keys)
        partners = jax.vmap(functools.partial(_partner, len(train.labels)))(rows, own_keys[:, _PARTNER])
        images, others = jnp.split(self._unmixed(jnp.concatenate([rows, partners]), keys, train), 2)
        mixed = jax.vmap(self._mixed)(images, others, own_keys)
        own, other = (jax.nn.one_hot(train.labels[index], self.num_classes) for index in (rows, partners))
        share = mixed.share[:, None]
        return Augmented(mixed.image, share * own + (1 - share) * other)

    def _unmixed(self, rows: Array, keys: _Keys, train: DeviceSplit) -> Array:
        images = normalise(train.images[rows])
        if self.alternating_flip:
            at_first = jax.vmap(lambda row: jax.random.bernoulli(jax.random.fold_in(keys.run, row)))(rows)
            images = jax.vmap(transforms.flip)(images, at_first ^ keys.is_odd)
        example_keys = self._example_keys(rows, keys)
        for purpose, function in self.functions:
            images = jax.vmap(function)(images, example_keys[:, purpose])
        return images

    def _example_keys(self, rows: Array, keys: _Keys) -> Array:
        """The keys `[batch, purposes]` of the draws of each example in this epoch."""
        number = _CUSTOM + len(self.functions)
        return jax.vmap(lambda row: jax.random.split(jax.random.fold_in(keys.epoch, row), number))(rows)

    def _mixed(self, image: Array, partner: Array, keys: Array) -> Mixed:
        found = [mixer(image, partner, keys[_MIX]) for mixer in self.mixers]
        if len(found) == 1:
            return found[0]
        first = jax.random.bernoulli(keys[_CHOICE])
        return Mixed(*(jnp.where(first, a, b) for a, b in zip(*found, strict=True)))


def make(config: ConfigDict, image_shape: tuple[int, int, int], num_classes: int) -> Augmentation:
    """Returns the augmentation that `config.augment` describes.

    **Raises:** `ConfigError` for a size beyond that of the images, an augmentation that is not registered, or one that
    changes an image's shape or dtype.
    """
    settings, smallest = config.augment, min(image_shape[:2])
    for name, largest in (("translate", smallest - 1), ("cutout", smallest)):
        if settings[name] > largest:
            height, width, _ = image_shape
            limit = f"at most {largest} where images are {height}x{width}"
            raise ConfigError(f"config.augment.{name} must be {limit}, not {settings[name]}")
    functions = [*_built_in(settings), *_custom(settings.custom, image_shape)]
    mixers = [
        functools.partial(mixer, alpha=settings[name])
        for name, mixer in (("mixup", transforms.mixup), ("cutmix", transforms.cutmix))
        if settings[name]
    ]
    return Augmentation(settings.flip == "alternating", tuple(functions), tuple(mixers), num_classes)


def _built_in(settings: ConfigDict) -> Iterator[tuple[int, AugmentationFunction]]:
    if settings.flip == "random":
        yield _FLIP, lambda image, key: transforms.flip(image, jax.random.bernoulli(key))
    if settings.translate:
        moved = functools.partial(transforms.translate, pixels=settings.translate, padding=settings.translate_padding)
        yield _TRANSLATE, moved
    if settings.cutout:
        yield _CUTOUT, functools.partial(transforms.cutout, side=settings.cutout)
    if settings.erase:
        yield _ERASE, functools.partial(transforms.erase, probability=settings.erase)


def _custom(names: Sequence[str], image_shape: tuple[int, int, int]) -> Iterator[tuple[int, AugmentationFunction]]:
    image, key = jax.ShapeDtypeStruct(image_shape, jnp.float32), jax.eval_shape(jax.random.key, 0)
    for number, name in enumerate(names):
        function = AUGMENTATIONS.get(name)
        found = output(f"augmentation {name!r}", function, image, key)
        if (found.shape, found.dtype) != (image.shape, image.dtype):
            raise ConfigError(
                f"augmentation {name!r} maps an image float32{list(image_shape)} to {found.dtype}{list(found.shape)}; "
                "it must keep shape and dtype"
            )
        yield _CUSTOM + number, function


def _partner(examples: int, row: Array, key: Array) -> Array:
    """Another example than `row`, unless there is but one."""
    return (row + 1 + transforms.integers_below(key, [max(examples - 1, 1)])[0]) % examples
