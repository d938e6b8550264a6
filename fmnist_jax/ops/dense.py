"""The matrix product of a dense layer, its kernel's gradient laid out as the kernel is."""

from __future__ import annotations

from typing import Any

import jax
from jax import lax

_PLAIN = (((1,), (0,)), ((), ()))


def dot_general(lhs: jax.Array, rhs: jax.Array, dimension_numbers: Any, **options: Any) -> jax.Array:
    """Stands in for `lax.dot_general`, as in `nnx.Linear(..., dot_general=dot_general)`.

    JAX's own gradient for the kernel of `x @ kernel` is a product that comes out transposed. XLA turns it round within
    the optimizer's update, reading it across its rows, which takes longer than the product where the kernel is large.
    """
    plain = lhs.ndim == rhs.ndim == 2 and lhs.dtype == rhs.dtype and not any(options.values())
    if plain and tuple(map(tuple, dimension_numbers[0])) == _PLAIN[0] and not any(dimension_numbers[1]):
        return _product(lhs, rhs)
    product: jax.Array = lax.dot_general(lhs, rhs, dimension_numbers, **options)
    return product


@jax.custom_vjp
def _product(x: jax.Array, kernel: jax.Array) -> jax.Array:
    return x @ kernel


def _forward(x: jax.Array, kernel: jax.Array) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return x @ kernel, (x, kernel)


def _backward(residuals: tuple[jax.Array, jax.Array], cotangent: jax.Array) -> tuple[jax.Array, jax.Array]:
    x, kernel = residuals
    return cotangent @ kernel.T, lax.dot_general(x, cotangent, (((0,), (0,)), ((), ())))


_product.defvjp(_forward, _backward)
