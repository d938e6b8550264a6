"""What is fenced is a piece of its own to the compiler, and changes no value."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from fmnist_jax.ops.fence import fenced


def _program(x):
    first = fenced(lambda x: [jnp.where(x > 0, x, 0) + 1, x * 2], x)
    return fenced(lambda parts: parts[0] * parts[1], first)


def test_values_and_gradients_are_those_without():
    x = jnp.arange(-3.0, 4.0)

    def plain(x):
        return (jnp.where(x > 0, x, 0) + 1) * (x * 2)

    for transformed in (jax.jit, jax.vmap, lambda function: jax.grad(lambda x: function(x).sum())):
        np.testing.assert_array_equal(transformed(_program)(x), transformed(plain)(x))


def test_no_operation_crosses_it():
    text = jax.jit(_program).lower(jnp.arange(4.0)).compile().as_text()
    assert len([line for line in text.splitlines() if " call(" in line]) == 2
