"""Chunks of a batch give what the whole batch gives; `no_fusion` changes no value."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fmnist_jax.ops import chunks
from fmnist_jax.ops.chunks import no_fusion


def _program(x):
    first = no_fusion(lambda x: [jnp.where(x > 0, x, 0) + 1, x * 2], x)
    return no_fusion(lambda parts: parts[0] * parts[1], first)


def test_no_fusion_keeps_values_and_gradients():
    x = jnp.arange(-3.0, 4.0)

    def plain(x):
        return (jnp.where(x > 0, x, 0) + 1) * (x * 2)

    for transformed in (jax.jit, jax.vmap, lambda function: jax.grad(lambda x: function(x).sum())):
        np.testing.assert_array_equal(transformed(_program)(x), transformed(plain)(x))


def test_no_operation_is_fused_across_no_fusion():
    text = jax.jit(_program).lower(jnp.arange(4.0)).compile().as_text()
    assert len([line for line in text.splitlines() if " call(" in line]) == 2


@pytest.mark.parametrize("chunk", [1, 3, 4, 7, 9])
def test_chunks_give_what_the_whole_batch_gives(chunk):
    x, y = np.arange(28.0).reshape(7, 4), np.arange(7.0)

    def function(x, y):
        return jnp.sin(x) + y[:, None], {"sum": (x * y[:, None]).sum(0)}

    expected, sums = function(jnp.asarray(x), jnp.asarray(y))
    found, found_sums = jax.jit(lambda *arrays: chunks.map_reduce_chunks(function, chunk, *arrays))(x, y)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    np.testing.assert_allclose(found_sums["sum"], sums["sum"], rtol=1e-6)
    first = jax.jit(lambda *arrays: chunks.map_chunks(lambda x, y: function(x, y)[0], chunk, *arrays))(x, y)
    np.testing.assert_allclose(first, expected, rtol=1e-6)
    out = jax.jit(lambda x, out: chunks.map_chunks(jnp.cos, chunk, x, axis=1, out_axis=1, donated_out=out))
    np.testing.assert_allclose(out(x.T, jnp.ones((4, 7))), np.cos(x.T), rtol=1e-6)


@pytest.mark.parametrize(
    ("batch", "limit", "size"), [(256, 100, 64), (256, 300, 256), (7, 4, 4), (10, 3, 2), (11, 5, 4)]
)
def test_chunk_size(batch, limit, size):
    assert chunks.chunk_size(batch, limit) == size
