"""The machine as XLA drives it: its device, and how fast its matrix products and its memory are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
    matrix, b = jax.random.normal(jax.random.key(0), (_SIDE, _SIDE)), jnp.ones(_TRIAD)
    product = jax.jit(lambda x: matrix @ x)
    # In place, so that the bytes counted (two reads, one write) are all that travel.
    triad = jax.jit(lambda a, b: 0.5 * a + b, donate_argnums=0)
    matmul = _repeated(lambda _: product(matrix), lambda: matrix)
    copy = _repeated(lambda a: triad(a, b), lambda: jnp.zeros(_TRIAD))
    return on_jax({"matmul": Task(matmul, 2 * _SIDE**3, 1000), "copy": Task(copy, 3 * 4 * _TRIAD, 1000)}, 0)


def _repeated(step: Callable[[jax.Array], jax.Array], start: Callable[[], jax.Array]) -> Callable[[int], Go]:
    def prepare(number: int) -> Go:
        def go() -> None:
            x = start()
            for _ in range(number):
                x = step(x)
            x.block_until_ready()

        return go

    return prepare


def on_jax(tasks: Mapping[str, Task], parameters: int) -> Implementation:
    """Returns the implementation on JAX's first device; a CPU does not count its own memory."""
    device = jax.devices()[0]
    versions = {name: metadata.version(name) for name in ("jax", "jaxlib", "flax")}
    return Implementation(
        tasks, parameters, device.device_kind, versions, lambda: (device.memory_stats() or {}).get("peak_bytes_in_use")
    )
