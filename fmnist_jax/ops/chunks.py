"""Cache blocking: a batch in chunks whose intermediate results stay in a core's cache.

The patches of a convolution take many times the memory of its input. For a whole batch they travel to main memory and
back, which takes longer than the arithmetic; for a few examples at a time they never leave the cache.
"""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.experimental.xla_metadata import set_xla_metadata

# Half of the second-level cache of today's server cores: patches share it with the operands of the matrix product.
_BUDGET_BYTES = 2**20


def max_chunk(bytes_per_example: int) -> int:
    """Returns how many examples fit into the cache, given the size of one example's intermediate results."""
    return max(1, _BUDGET_BYTES // max(1, bytes_per_example))


def chunk_size(batch: int, limit: int) -> int:
    """Returns the chunk size for a batch, at most `limit`: a divisor of the batch if one exceeds half the limit."""
    limit = min(batch, limit)
    divisors = [chunk for chunk in range(1, limit + 1) if batch % chunk == 0]
    if divisors and divisors[-1] > limit // 2:
        return divisors[-1]  # padding the last chunk would copy the whole batch
    return -(-batch // -(-batch // limit))


def map_chunks(
    function: Callable[..., Any], chunk: int, *batched: Any, axis: int = 0, out_axis: int = 0, donated_out: Any = None
) -> Any:
    """Returns `function(*batched)` of pytrees of arrays, computed one chunk of examples at a time.

    **Arguments:**

    - `axis`, `out_axis`: the batch axis of each array of the arguments and of the result.
    - `donated_out`: arrays of the result's shapes and dtypes to overwrite if there are several chunks. The caller must
      not use them afterwards. New memory would have to be zeroed first.
    """
    batch = jax.tree.leaves(batched)[0].shape[axis]
    if chunk >= batch:
        return function(*batched)

    def compute(start: jax.Array | int) -> Any:
        return function(*jax.tree.map(lambda x: lax.dynamic_slice_in_dim(x, start, chunk, axis), batched))

    def step(index: jax.Array, out: Any) -> Any:
        # The last chunk starts early enough to be full: its first examples are computed twice.
        start = jnp.minimum(index * chunk, batch - chunk)
        return jax.tree.map(
            lambda x, part: lax.dynamic_update_slice_in_dim(x, part, start, out_axis), out, compute(start)
        )

    def zeros(part: jax.ShapeDtypeStruct) -> jax.Array:
        return jnp.zeros((*part.shape[:out_axis], batch, *part.shape[out_axis + 1 :]), part.dtype)

    if donated_out is None:
        donated_out = jax.tree.map(zeros, jax.eval_shape(lambda: compute(0)))
    return lax.fori_loop(0, -(-batch // chunk), step, donated_out)


def map_reduce_chunks(function: Callable[..., tuple[Any, Any]], chunk: int, *batched: Any) -> tuple[Any, Any]:
    """Maps as `map_chunks` does along first axes; the second result of `function` is summed over the chunks.

    Zeros pad the last chunk: the sum that `function` returns for all-zero examples has to be zero.
    """
    batch = len(jax.tree.leaves(batched)[0])
    if chunk >= batch:
        return function(*batched)

    def split(x: jax.Array) -> jax.Array:
        """Reshapes `[batch, ...]` to `[chunks, chunk, ...]`."""
        missing = -batch % chunk
        padded = jnp.pad(x, ((0, missing), *((0, 0) for _ in x.shape[1:]))) if missing else x
        return padded.reshape(-1, chunk, *x.shape[1:])

    parts = jax.tree.map(split, batched)
    _, shapes = jax.eval_shape(function, *jax.tree.map(lambda x: x[0], parts))

    def step(sums: Any, part: tuple[Any, ...]) -> tuple[Any, Any]:
        out, more = function(*part)
        return jax.tree.map(jnp.add, sums, more), out

    sums, out = lax.scan(step, jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes), parts)
    return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:])[:batch], out), sums


class ChunkedPlan(abc.ABC):
    """A convolution that transforms its kernel once, if at all, and then runs forward and backward chunk by chunk.

    See `fmnist_jax.ops.conv_algorithm.ConvPlan` for `forward` and `backward`; a subclass defines the `*_chunk` methods.
    """

    def transform_kernel(self, kernel: jax.Array) -> Any:
        """Returns what the `*_chunk` methods take instead of `kernel[kernel height, kernel width, in, out]`."""
        return kernel

    def kernel_gradient(self, cotangent: jax.Array) -> jax.Array:
        """The transpose of `transform_kernel`."""
        return cotangent

    @abc.abstractmethod
    def max_chunk(self, kernel: Any) -> int:
        """Returns the largest chunk size, given the transformed kernel."""

    @abc.abstractmethod
    def forward_chunk(self, x: jax.Array, kernel: Any) -> list[jax.Array]:
        """Returns the window elements of the convolution of a chunk."""

    @abc.abstractmethod
    def backward_chunk(self, x: jax.Array, kernel: Any, cotangent: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Returns the cotangents of a chunk and of the transformed kernel for that of the convolution's output."""

    def forward(
        self, x: jax.Array, kernel: jax.Array, epilogue: Callable[[list[jax.Array]], Any]
    ) -> tuple[Any, tuple[jax.Array, jax.Array]]:
        """Returns the epilogue's result and the residuals."""
        transformed = self.transform_kernel(kernel)
        chunk = chunk_size(x.shape[0], self.max_chunk(transformed))
        return map_chunks(lambda x: epilogue(self.forward_chunk(x, transformed)), chunk, x), (x, kernel)

    def backward(
        self, residuals: tuple[jax.Array, jax.Array], prologue: Callable[..., jax.Array], *batched: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """Returns the cotangents of `x` and of the kernel."""
        x, kernel = residuals
        transformed = self.transform_kernel(kernel)

        def backward_chunk(x: jax.Array, *batched: jax.Array) -> tuple[jax.Array, jax.Array]:
            return self.backward_chunk(x, transformed, prologue(*batched))

        chunk = chunk_size(x.shape[0], self.max_chunk(transformed))
        d_x, d_transformed = map_reduce_chunks(backward_chunk, chunk, x, *batched)
        return d_x, self.kernel_gradient(d_transformed)


def no_fusion(function: Callable[..., Any], *arguments: Any) -> Any:
    """Returns `function(*arguments)`; its results are written to memory before anything reads them.

    XLA fuses elementwise operations into all of their consumers. Where many consumers each read much of what many
    operations compute, as between the two halves of a transform along two axes, the operations run again and again.
    `jax.lax.optimization_barrier` does not help: XLA drops it before fusion. `function` maps pytrees of arrays to one.
    """

    def call(*arguments: Any) -> Any:
        with set_xla_metadata(inlineable=None):
            return function(*arguments)

    with set_xla_metadata(inlineable="false"):
        return jax.jit(call)(*arguments)
