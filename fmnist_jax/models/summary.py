"""The size of a network: its parameters, and the arithmetic of a forward pass."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.extend.core import jaxprs_in_params

from fmnist_jax.data import FASHION_MNIST, Description
from fmnist_jax.files.markdown import markdown_table
from fmnist_jax.models.adapt import create
from fmnist_jax.models.layers import ComputeConfig
from fmnist_jax.models.registry import MODELS, count_parameters

# Convolutions by XLA are one operation each, whose arithmetic is that of the plain algorithm.
_PLAIN = ComputeConfig(algorithm="xla")


def model_table() -> str:
    """Returns a Markdown table of the built-in networks: parameters, and operations per image of Fashion-MNIST."""
    header = ["name", "network", "parameters", "MFLOP per image"]
    rows = []
    for name in filter(MODELS.is_built_in, MODELS.names()):
        parameters, flops = size_of(name)
        rows.append([name, MODELS.get(name).summary, f"{parameters:,}", f"{flops / 1e6:.1f}"])
    return markdown_table(header, rows, "llrr")


def size_of(
    name: str, options: Mapping[str, Any] | None = None, description: Description = FASHION_MNIST
) -> tuple[int, int]:
    """Returns the number of parameters, and of floating-point operations in a forward pass of one image.

    Counted are the convolutions and matrix products, with two operations for each multiply-add and with the zeros of
    the padding, as papers do; all else is small beside them.

    **Raises:** `ConfigError` for an unknown name or wrong options.
    """

    def forward(images: jax.Array) -> tuple[jax.Array, Any]:
        model: Any = create(name, nnx.Rngs(0), _PLAIN, options or {}, description)
        model.eval()
        return model(images), nnx.to_pure_dict(nnx.state(model, nnx.Param))

    program, (_, params) = jax.make_jaxpr(forward, return_shape=True)(jnp.zeros((1, *description.image_shape)))
    return count_parameters(params), sum(map(_flops, _equations(program.jaxpr)))


def _equations(jaxpr: Any) -> Iterator[Any]:
    """Yields the operations of a program and of the functions that it calls once each."""
    for equation in jaxpr.eqns:
        yield equation
        for inner in jaxprs_in_params(equation.params):
            yield from _equations(inner)


def _flops(equation: Any) -> int:
    """Returns the operations of a convolution or a matrix product, 0 for all else."""
    out = math.prod(equation.outvars[0].aval.shape)
    if equation.primitive.name == "conv_general_dilated":
        kernel = equation.invars[1].aval.shape
        features = kernel[equation.params["dimension_numbers"].rhs_spec[0]]
        return 2 * out * math.prod(kernel) // features
    if equation.primitive.name == "dot_general":
        (contracted, _), _ = equation.params["dimension_numbers"]
        return 2 * out * math.prod(equation.invars[0].aval.shape[axis] for axis in contracted)
    return 0
