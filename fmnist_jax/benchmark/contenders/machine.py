"""The machine itself: how fast its matrix products and its memory are, as XLA drives them."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp

from fmnist_jax.benchmark.architecture import Problem
from fmnist_jax.benchmark.contenders import jax_process
from fmnist_jax.benchmark.task import Contender, Go, Task

_SIDE = 2048
_TRIAD = 2**25  # numbers in each of two arrays: 128 MiB, beyond any cache


def make(problem: Problem, variant: str) -> Contender:
    """Returns the tasks `matmul`, float32 products of 2048x2048, and `copy`, `a = s a + b` over 128 MiB each."""
    del problem, variant
    tasks = {"matmul": Task(_products, 2 * _SIDE**3, 1000), "copy": Task(_triads, 3 * 4 * _TRIAD, 1000)}
    return Contender(tasks, 0, jax_process.device(), jax_process.versions(), jax_process.device_memory)


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
