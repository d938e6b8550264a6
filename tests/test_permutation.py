"""The random order: a bijection for every n, and as good as one drawn uniformly, over many keys."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from fmnist_jax import ops

# Of chi-square and other tests, which fail by chance with this probability; the keys are fixed.
_ALPHA = 1e-4
_SIZES = [1, 2, 3, 100, 255, 256, 257, 2**12 + 1, 55_000, 2**16 + 1]


def _orders(n: int, count: int, seed: int = 0) -> np.ndarray:
    """Returns `int32[count, n]`, the orders of so many keys."""
    keys = jax.random.split(jax.random.key(seed), count)
    return np.asarray(jax.jit(jax.vmap(lambda key: ops.permutation(key, n)))(keys))


@pytest.mark.parametrize("n", _SIZES)
def test_every_number_comes_once(n):
    order = np.asarray(ops.permutation(jax.random.key(n), n))
    assert order.dtype == np.int32
    assert np.array_equal(np.sort(order), np.arange(n))


def test_it_depends_on_the_key_alone():
    key = jax.random.key(5)
    alone = ops.permutation(key, 1000)
    assert np.array_equal(alone, jax.jit(ops.permutation, static_argnums=1)(key, 1000))
    assert np.array_equal(
        alone, jax.vmap(lambda key: ops.permutation(key, 1000))(jax.random.split(key, 3).at[1].set(key))[1]
    )
    assert not np.array_equal(alone, ops.permutation(jax.random.key(6), 1000))


def test_it_is_that_of_plain_integers():
    """What every backend must give: the network written out again, a word at a time, in Python's integers."""
    n, bits, key = 300, 9, jax.random.key(11)
    keys = [int(word) for word in jax.random.bits(key, (12,), jnp.uint32)]

    def mixed(word: int) -> int:
        word = (word ^ word >> 16) * 0x85EBCA6B % 2**32
        word = (word ^ word >> 13) * 0xC2B2AE35 % 2**32
        return word ^ word >> 16

    def encrypted(word: int) -> int:
        low, high = word % 2**4, word >> 4
        for first, second in zip(keys[::2], keys[1::2], strict=True):
            low ^= mixed(high ^ first) % 2**4
            high ^= mixed(low ^ second) % 2 ** (bits - 4)
        return high << 4 | low

    def walked(word: int) -> int:
        word = encrypted(word)
        return word if word < n else walked(word)

    assert ops.permutation(key, n).tolist() == [walked(word) for word in range(n)]


@pytest.mark.parametrize("n", [2, 3, 4, 5, 6])
def test_all_orders_of_few_are_equally_likely(n):
    orders = _orders(n, 30 * math.factorial(n) + 1000)
    _, counts = np.unique(orders, axis=0, return_counts=True)
    assert len(counts) == math.factorial(n)
    assert stats.chisquare(counts).pvalue > _ALPHA


@pytest.mark.parametrize("n", [8, 33, 255, 256, 257])
def test_positions_and_pairs_of_neighbours_are_uniform(n):
    count = 40 * n + 2000
    orders = _orders(n, count, seed=n)
    positions = np.stack([np.bincount(column, minlength=n) for column in orders.T])
    statistic = ((positions - count / n) ** 2 / (count / n)).sum()
    assert _ALPHA < stats.chi2.cdf(statistic, (n - 1) ** 2) < 1 - _ALPHA
    steps = np.bincount(((orders[:, 1:] - orders[:, :-1]) % n).ravel(), minlength=n)[1:]
    assert stats.chisquare(steps).pvalue > _ALPHA
    apart = np.bincount((orders[:, 0] - orders[:, n // 2]) % n, minlength=n)[1:]
    assert stats.chisquare(apart).pvalue > _ALPHA


@pytest.mark.parametrize("n", [60_000, 2**16 + 1])
def test_the_order_of_a_data_set_is_uniform(n):
    """By blocks of 1/50 of the positions; pairs that are near in one order or in the next; fixed points; cycles."""
    orders, blocks = _orders(n, 40, seed=n), 50

    def independent(a: np.ndarray, b: np.ndarray) -> bool:
        table = np.zeros((blocks, blocks))
        np.add.at(table, (a * blocks // n, b * blocks // n), 1)
        return stats.chi2_contingency(table).pvalue > _ALPHA

    index = np.arange(n)
    assert all(independent(index, order) for order in orders[:8])
    for apart in (1, 2, 255, 256):
        assert all(independent(order[:-apart], order[apart:]) for order in orders[:4])
    assert independent(orders[0], orders[1])
    fixed = int((orders == index).sum())
    assert _ALPHA < stats.poisson.cdf(fixed, len(orders)) < 1 - _ALPHA
    cycles = np.mean([_cycles(order) for order in orders[:20]])
    expected = np.log(n) + np.euler_gamma
    assert abs(cycles - expected) < 4 * math.sqrt(expected / 20)


def _cycles(order: np.ndarray) -> int:
    following, seen, cycles = order.tolist(), bytearray(len(order)), 0
    for start in range(len(following)):
        cycles += not seen[start]
        while not seen[start]:
            seen[start] = 1
            start = following[start]
    return cycles
