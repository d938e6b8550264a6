"""A random order without sorting: a keyed bijection of 0 to n - 1, evaluated for every index at once.

`jax.random.permutation` sorts random words, twice: sorts are what takes an accelerator's compiler longest, and most of
the time of an epoch's start. This is elementwise on 32-bit words, and the same on every backend.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax

# Fewer leave, over many keys, orders that are not equally likely.
_ROUNDS, _MIN_BITS = 12, 8


def permutation(key: jax.Array, n: int) -> jax.Array:
    """Returns the numbers from 0 to n - 1, `int32[n]`, in an order drawn by `key`.

    A Feistel network permutes the words of as many bits as n - 1 has (Luby & Rackoff 1988, "How to Construct
    Pseudorandom Permutations"); those that it maps beyond n - 1 go through it again until they are not (cycle walking;
    Black & Rogaway 2002, "Ciphers with Arbitrary Finite Domains", section 3).
    """
    bits = max(_MIN_BITS, (n - 1).bit_length())
    keys = jax.random.bits(key, (_ROUNDS,), jnp.uint32)

    def walk(words: jax.Array) -> jax.Array:
        return jnp.where(words < n, words, _feistel(words, keys, bits))

    first = _feistel(jnp.arange(n, dtype=jnp.uint32), keys, bits)
    return lax.while_loop(lambda words: jnp.any(words >= n), walk, first).astype(jnp.int32)


def _feistel(words: jax.Array, keys: jax.Array, bits: int) -> jax.Array:
    """Permutes words of so many bits: in turn, each half is changed by a random function of the other."""
    low_bits = bits // 2
    halves = [words & (2**low_bits - 1), words >> low_bits]
    masks = 2**low_bits - 1, 2 ** (bits - low_bits) - 1
    for turn in range(_ROUNDS):
        changed, other = turn % 2, 1 - turn % 2
        halves[changed] ^= _mixed(halves[other] ^ keys[turn]) & masks[changed]
    return halves[1] << low_bits | halves[0]


def _mixed(words: jax.Array) -> jax.Array:
    """Spreads every bit over the whole word (MurmurHash3's last step, Appleby 2011)."""
    words = (words ^ words >> 16) * jnp.uint32(0x85EBCA6B)
    words = (words ^ words >> 13) * jnp.uint32(0xC2B2AE35)
    return words ^ words >> 16
