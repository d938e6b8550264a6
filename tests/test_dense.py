"""Our product for dense layers agrees with JAX's, values and gradients."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from fmnist_jax import ops


@pytest.mark.parametrize("shape", [(5, 3), (2, 5, 3)])
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_nnx_linear_takes_our_product(shape, dtype):
    x = jax.random.normal(jax.random.key(0), shape)
    ours, stock = (
        nnx.Linear(3, 4, dtype=dtype, rngs=nnx.Rngs(0), dot_general=function)
        for function in (ops.dot_general, jax.lax.dot_general)
    )

    def loss(layer, x):
        return jnp.sum(jnp.sin(layer(x).astype(jnp.float32)))

    gradients = [nnx.grad(loss, argnums=(0, 1))(layer, x) for layer in (ours, stock)]
    for a, b in zip(*map(jax.tree.leaves, gradients), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-2 if dtype == jnp.bfloat16 else 1e-5, atol=1e-5)
    np.testing.assert_array_equal(ours(x), stock(x))
