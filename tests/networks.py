"""What the tests of the networks share."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from fmnist_jax import models
from fmnist_jax.data import FASHION_MNIST, Description

CIFAR = Description("cifar", tuple("abcdefghij"), (32, 32, 3))
SMALL = Description("small", tuple("abcdefg"), (8, 9, 1))
OTHER = Description("other", tuple("abcdefg"), (19, 24, 3))


def params_of(name: str, description: Description = FASHION_MNIST, **options: Any) -> Any:
    """Returns the shapes of the parameters, by layer."""

    def params() -> Any:
        model = models.create(name, nnx.Rngs(0), options=options, description=description)
        return nnx.to_pure_dict(nnx.state(model, nnx.Param))

    return jax.eval_shape(params)


def logits_of(name: str, description: Description, precision: str) -> Any:
    """Returns the shape and dtype of the logits of three images."""

    def logits(images: jax.Array) -> jax.Array:
        compute = models.ComputeConfig(dtype=jnp.dtype(precision))
        return models.create(name, nnx.Rngs(0), compute, description=description)(images)

    return jax.eval_shape(logits, jax.ShapeDtypeStruct((3, *description.image_shape), jnp.float32))


def losses(name: str, **options: Any) -> list[float]:
    """Takes ten steps of gradient descent on a batch of noise, the last image of it padding; returns the losses."""
    model = models.FunctionalModel(name, models.ComputeConfig(), options, SMALL, batch_size=8)
    images, labels = jax.random.normal(jax.random.key(0), (8, *SMALL.image_shape)), jnp.arange(8) % 7
    mask = jnp.arange(8) < 7

    def loss(params: Any, state: Any) -> Any:
        logits, state = model.train(params, state, images, jax.random.key(0), mask)
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean(where=mask), state

    @jax.jit
    def step(params: Any, state: Any) -> Any:
        (value, state), gradient = jax.value_and_grad(loss, has_aux=True)(params, state)
        return jax.tree.map(lambda w, g: w - 0.02 * g, params, gradient), state, value

    (params, state), found = jax.jit(model.init)(jax.random.key(0)), []
    for _ in range(10):
        params, state, value = step(params, state)
        found.append(float(value))
    return found
