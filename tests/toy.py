"""Networks and data small enough to train in milliseconds, for tests of the code around them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import csv_files
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from ml_collections import ConfigDict

from fmnist_jax import models
from fmnist_jax.config import schema as config
from fmnist_jax.data import Split
from fmnist_jax.models.keras_cnn import KERAS
from fmnist_jax.models.layers import ComputeConfig, Initializers, dense

# No multiple of each other, so that the last batch of an epoch and of an evaluation is filled in part.
TRAIN, TEST, BATCH, EVAL_BATCH = 50, 23, 16, 10
STEPS = 4  # an epoch


@models.register("toy", "every fourth pixel - dense 12 - dropout - dense 10")
class Toy(nnx.Module):
    """Maps images `[batch, 28, 28, 1]` to logits `[batch, 10]`."""

    def __init__(self, *, compute: ComputeConfig, rngs: nnx.Rngs):
        self.hidden = dense(49, 12, init=KERAS, compute=compute, rngs=rngs)
        self.dropout = nnx.Dropout(0.5)
        self.logits = dense(12, 10, init=KERAS, compute=compute, rngs=rngs)

    def __call__(self, x: jax.Array, *, train: bool = False, rngs: nnx.Rngs | None = None) -> jax.Array:
        x = x[:, ::4, ::4].reshape(x.shape[0], -1)
        x = jax.nn.relu(self.hidden(x))
        return self.logits(self.dropout(x, deterministic=not train, rngs=rngs))


@models.register("linear", "every fourth pixel - dense 10")
class Linear(nnx.Module):
    """Maps images `[batch, 28, 28, 1]` to logits `[batch, 10]`.

    Draws nothing at random, which is what takes longest to compile; hence for tests that need one program of many
    kinds, such as one of each optimizer.
    """

    def __init__(self, *, compute: ComputeConfig, rngs: nnx.Rngs):
        init = Initializers(nnx.initializers.constant(0.1), nnx.initializers.zeros_init())
        self.logits = dense(49, 10, init=init, compute=compute, rngs=rngs)

    def __call__(self, x: jax.Array, *, train: bool = False, rngs: nnx.Rngs | None = None) -> jax.Array:
        del train, rngs
        return self.logits(x[:, ::4, ::4].reshape(x.shape[0], -1))


@models.register("toy-batchnorm", "every fourth pixel - batch normalisation - dense 10")
class ToyBatchNorm(nnx.Module):
    """Maps images `[batch, 28, 28, 1]` to logits `[batch, 10]`."""

    def __init__(self, *, compute: ComputeConfig, rngs: nnx.Rngs):
        self.norm = nnx.BatchNorm(49, momentum=0.5, rngs=rngs)
        self.logits = dense(49, 10, init=KERAS, compute=compute, rngs=rngs)

    def __call__(self, x: jax.Array, *, train: bool = False, rngs: nnx.Rngs | None = None) -> jax.Array:
        del rngs
        x = x[:, ::4, ::4].reshape(x.shape[0], -1)
        return self.logits(self.norm(x, use_running_average=not train))


@models.register("flat", "dense, for images of any shape")
class Flat(nnx.Module):
    """Maps images `[batch, height, width, channels]` to logits `[batch, num_classes]`."""

    def __init__(self, *, image_shape: tuple[int, int, int], num_classes: int, rngs: nnx.Rngs):
        self.logits = nnx.Linear(math.prod(image_shape), num_classes, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.logits(x.reshape(x.shape[0], -1))


class Seen(nnx.Variable):
    """What a witness saw in training."""


@models.register("witness", "records which images it sees and which units dropout keeps")
class Witness(nnx.Module):
    """Records of the first 16 training steps: the upper left pixel of each image, and a dropout mask of eight units.

    Maps images `[8, 28, 28, 1]` to logits `[8, 10]` that depend on nothing but a bias.
    """

    def __init__(self, *, compute: ComputeConfig, rngs: nnx.Rngs):
        self.bias = nnx.Param(jnp.zeros(10))
        self.dropout = nnx.Dropout(0.5)
        self.step = Seen(jnp.int32(0))
        self.pixels = Seen(jnp.zeros((16, 8), jnp.int32))
        self.kept = Seen(jnp.zeros((16, 8)))

    def __call__(self, x: jax.Array, *, train: bool = False, rngs: nnx.Rngs | None = None) -> jax.Array:
        if train:
            step = self.step[...]
            self.pixels[...] = self.pixels[...].at[step].set(jnp.round(255 * x[:, 0, 0, 0]).astype(jnp.int32))
            self.kept[...] = self.kept[...].at[step].set(self.dropout(jnp.ones(8), rngs=rngs))
            self.step[...] = step + 1
        return jnp.broadcast_to(self.bias[...], (x.shape[0], 10))


def split(examples: int, seed: int = 0) -> Split:
    """Returns noise with a bright row or column that tells the class; the upper left pixel is the image's number."""
    rng = np.random.default_rng(seed)
    labels = (np.arange(examples) % 10).astype(np.uint8)
    images = rng.integers(0, 180, (examples, 28, 28), np.uint8)
    for image, label in zip(images, labels, strict=True):
        line = 4 + 4 * (label % 5)
        (image if label < 5 else image.T)[line] = 255
    images[:, 0, 0] = np.arange(examples)
    return Split(images, labels)


def write_csv(folder: Path, *, seed: int = 0) -> Path:
    """Writes the two files of a `csv` data set of `TRAIN` and `TEST` images."""
    return csv_files.write(folder, split(TRAIN, seed), split(TEST, seed + 1))


def toy_config(data: Path | None = None, **changes: Any) -> ConfigDict:
    """Returns the config of a run of two epochs; `changes` are keys of the config with `__` for the dot."""
    made = config.default_config()
    made.data.name, made.data.dir = "csv", str(data or "")
    made.model.name = "toy"
    made.train.update(epochs=2, batch_size=BATCH, eval_batch_size=EVAL_BATCH)
    for key, value in changes.items():
        section, _, leaf = key.rpartition("__")
        (made[section] if section else made)[leaf] = value
    return made
