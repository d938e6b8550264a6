"""Keras 3 on TensorFlow: `model.fit` and `model.evaluate` on arrays, some steps in each call into TensorFlow."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping

# Read when Keras is imported; whatever the user's own setting, this candidate is Keras on TensorFlow.
os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")

import keras
import numpy as np
import tensorflow as tf

from fmnist_jax.benchmark import networks
from fmnist_jax.benchmark.candidates import Go, Implementation, network_tasks, random_images
from fmnist_jax.benchmark.problem import EVAL_BATCH, Problem

_STEPS_PER_EXECUTION = 8


def make(problem: Problem, variant: str) -> Implementation:
    """Returns the implementation; `variant` is `"jit"` for XLA, else empty."""
    model = network(problem.layers)
    gpu = bool(tf.config.list_physical_devices("GPU"))
    model.compile(
        optimizer=_optimizer(problem),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        steps_per_execution=_STEPS_PER_EXECUTION,
        jit_compile=variant == "jit",
    )

    def train(batches: int) -> Go:
        x, y = _arrays(batches * problem.batch_size)
        return lambda: model.fit(x, y, batch_size=problem.batch_size, epochs=1, verbose=0)

    def evaluate(batches: int) -> Go:
        x, y = _arrays(batches * EVAL_BATCH)
        return lambda: model.evaluate(x, y, batch_size=EVAL_BATCH, verbose=0)

    return Implementation(
        network_tasks(train, evaluate, problem.batch_size),
        parameters=sum(int(np.prod(weight.shape)) for weight in model.trainable_variables),
        device="gpu" if gpu else "cpu",
        versions={"keras": keras.__version__, "tensorflow": tf.__version__},
        device_memory=lambda: tf.config.experimental.get_memory_info("GPU:0")["peak"] if gpu else None,
    )


def network(layers: networks.Layers) -> keras.Model:
    """Returns the network in Keras's layers, from images `[batch, 28, 28, 1]` to logits."""
    images = keras.Input((networks.IMAGE_SIZE, networks.IMAGE_SIZE, 1))
    return keras.Model(images, functools.reduce(_applied, layers, images))


def _applied(x: keras.KerasTensor, layer: networks.Layer) -> keras.KerasTensor:
    match layer:
        case networks.Conv(features, size, padding, stride, bias):
            # "same" pads all sides alike at stride 1 only.
            same = stride == 1 and padding == size // 2
            x = x if same or not padding else keras.layers.ZeroPadding2D(padding)(x)
            conv = keras.layers.Conv2D(features, size, stride, "same" if same else "valid", use_bias=bias)
            return conv(x)
        case networks.Norm(momentum, scale, bias):
            return keras.layers.BatchNormalization(-1, momentum, networks.NORM_EPSILON, center=bias, scale=scale)(x)
        case networks.Dense(features):
            return keras.layers.Dense(features)(x)
        case networks.Dropout(rate):
            return keras.layers.Dropout(rate)(x)
        case networks.Sum(body, shortcut):
            return keras.layers.add([functools.reduce(_applied, branch, x) for branch in (body, shortcut)])
    return _PLAIN[layer]()(x)


_PLAIN: Mapping[str, type[keras.Layer]] = {
    "relu": keras.layers.ReLU,
    "pool": keras.layers.MaxPooling2D,
    "max": keras.layers.GlobalMaxPooling2D,
    "mean": keras.layers.GlobalAveragePooling2D,
    "flatten": keras.layers.Flatten,
}


def _optimizer(problem: Problem) -> keras.optimizers.Optimizer:
    if problem.optimizer == "adam":
        return keras.optimizers.Adam(problem.learning_rate, epsilon=1e-7)
    return keras.optimizers.RMSprop(problem.learning_rate, rho=0.9, epsilon=1e-7)


def _arrays(examples: int) -> tuple[np.ndarray, np.ndarray]:
    images, labels = random_images(examples)
    return images[..., None].astype(np.float32) / 255, labels.astype(np.int32)
