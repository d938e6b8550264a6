"""The machine as XLA drives it: its device, and how fast its matrix products and its memory are."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from importlib import metadata

import jax
import jax.numpy as jnp

from fmnist_jax.benchmark.candidates import Go, Implementation, Task
from fmnist_jax.benchmark.problem import Problem

_SIDE = 2048
_TRIAD = 2**25  # numbers in each of two arrays: 128 MiB, beyond any cache


def make(problem: Problem, variant: str) -> Implementation:
    """Returns the tasks `matmul`, float32 products of 2048x2048, and `copy`, `a = s a + b` over 128 MiB each."""
    del problem, variant
    return on_jax({"matmul": Task(_products, 2 * _SIDE**3, 1000), "copy": Task(_triads, 3 * 4 * _TRIAD, 1000)}, 0)


def on_jax(tasks: Mapping[str, Task], parameters: int) -> Implementation:
    """Returns the implementation on JAX's first device; a CPU does not count its own memory."""
    device = jax.devices()[0]
    versions = {name: metadata.version(name) for name in ("jax", "jaxlib", "flax")}
    return Implementation(
        tasks, parameters, device.device_kind, versions, lambda: (device.memory_stats() or {}).get("peak_bytes_in_use")
    )


def _products(number: int) -> Go:
    a = jax.random.normal(jax.random.key(0), (_SIDE, _SIDE))
    product = jax.jit(lambda x: a @ x)

    def go() -> None:
        x = a
        for _ in range(number):
            x = product(a)
        x.block_until_ready()

    return go


def _triads(number: int) -> Go:
    b = jnp.ones(_TRIAD)

    # In place, so that the bytes counted (two reads, one write) are all that travel.
    @functools.partial(jax.jit, donate_argnums=0)
    def triad(a: jax.Array, b: jax.Array) -> jax.Array:
        return 0.5 * a + b

    def go() -> None:
        a = jnp.zeros(_TRIAD)
        for _ in range(number):
            a = triad(a, b)
        a.block_until_ready()

    return go
