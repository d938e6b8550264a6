"""Layers that the models share: float32 parameters, explicit dtype and convolution algorithm."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from fmnist_jax import ops
from fmnist_jax.config.schema import ConvAlgorithm
from fmnist_jax.ops.conv_algorithm import Padding


@dataclasses.dataclass(frozen=True)
class ComputeConfig:
    """How a model computes, whatever its architecture.

    **Attributes:**

    - `dtype`: of the computation; parameters stay float32.
    - `algorithm`: of the convolutions; see `fmnist_jax.ops`.
    """

    dtype: jnp.dtype = jnp.float32
    algorithm: ConvAlgorithm = "auto"


class Initializers(NamedTuple):
    """The initializers of a model's kernels and biases: functions of a key, a shape and a dtype."""

    kernel: nnx.Initializer
    bias: nnx.Initializer


class Conv(nnx.Module):
    """A square convolution of stride 1 with bias and ReLU; with `pool`, 2x2 max-pooling in the same operation.

    Maps `[batch, height, width, fan_in]` to `[batch, height', width', features]`.
    """

    def __init__(
        self,
        fan_in: int,
        features: int,
        size: int,
        *,
        pool: bool,
        padding: Padding,
        init: Initializers,
        compute: ComputeConfig,
        rngs: nnx.Rngs,
    ):
        self.kernel = nnx.Param(init.kernel(rngs.params(), (size, size, fan_in, features), jnp.float32))
        self.bias = nnx.Param(init.bias(rngs.params(), (features,), jnp.float32))
        self.pool = pool
        self.padding: Padding = padding
        self.compute = compute

    def __call__(self, x: jax.Array) -> jax.Array:
        kernel = self.kernel[...].astype(self.compute.dtype)
        bias = self.bias[...].astype(self.compute.dtype)
        x = x.astype(self.compute.dtype)
        if self.pool:
            return ops.conv_relu_pool(x, kernel, bias, padding=self.padding, algorithm=self.compute.algorithm)
        return jax.nn.relu(ops.conv2d(x, kernel, padding=self.padding, algorithm=self.compute.algorithm) + bias)


def dense(fan_in: int, features: int, *, init: Initializers, compute: ComputeConfig, rngs: nnx.Rngs) -> nnx.Linear:
    """Returns a dense layer, `[batch, fan_in]` to `[batch, features]`."""
    return nnx.Linear(
        fan_in,
        features,
        kernel_init=init.kernel,
        bias_init=init.bias,
        dtype=compute.dtype,
        dot_general=ops.dot_general,
        rngs=rngs,
    )


def plain_conv(
    fan_in: int,
    features: int,
    size: int,
    *,
    strides: int = 1,
    init: nnx.Initializer,
    compute: ComputeConfig,
    rngs: nnx.Rngs,
) -> nnx.Conv:
    """Returns a square convolution without bias, padded by half its size on every side."""
    return nnx.Conv(
        fan_in,
        features,
        (size, size),
        strides=strides,
        padding=size // 2,
        use_bias=False,
        kernel_init=init,
        dtype=compute.dtype,
        conv_general_dilated=convolution(compute.algorithm),
        rngs=rngs,
    )


@functools.cache
def convolution(algorithm: ConvAlgorithm) -> Any:
    """Returns what an `nnx.Conv` takes as `conv_general_dilated` to compute by `algorithm`.

    One object for each algorithm: modules are compared by what they hold.
    """
    return functools.partial(ops.conv_general_dilated, algorithm=algorithm)
