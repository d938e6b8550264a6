from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fmnist_jax.data import Split
from fmnist_jax.data.dataset import SPLIT_SEED, hold_out
from fmnist_jax.errors import DataError

SIZES = st.lists(st.integers(0, 40), min_size=10, max_size=10).filter(lambda sizes: sum(sizes) >= 2)


def numbered(sizes: list[int]) -> Split:
    """A split of so many images a class, shuffled; each image carries its index."""
    labels = np.random.default_rng(1).permutation(np.repeat(np.arange(10, dtype=np.uint8), sizes))
    images = np.zeros((len(labels), 28, 28), np.uint8)
    images[:, 0, :2] = np.stack(np.divmod(np.arange(len(labels)), 256), 1)
    return Split(images, labels)


def indices(split: Split) -> np.ndarray:
    return split.images[:, 0, 0].astype(int) * 256 + split.images[:, 0, 1]


@st.composite
def cases(draw: st.DrawFn) -> tuple[Split, int]:
    whole = numbered(draw(SIZES))
    return whole, draw(st.integers(1, len(whole) - 1))


@given(cases())
def test_the_parts_are_disjoint_complete_and_in_order(case):
    whole, val_examples = case
    train, val = hold_out(whole, val_examples)
    assert len(val) == val_examples
    assert sorted([*indices(train), *indices(val)]) == list(range(len(whole)))
    for part in (train, val):
        assert (np.diff(indices(part)) > 0).all()
        assert (part.labels == whole.labels[indices(part)]).all()
        assert part.images.dtype == part.labels.dtype == np.uint8


@given(cases())
def test_each_class_keeps_its_share(case):
    whole, val_examples = case
    _, val = hold_out(whole, val_examples)
    sizes, taken = (np.bincount(part.labels, minlength=10) for part in (whole, val))
    shares = sizes * val_examples / len(whole)
    # Rounded to a neighbouring integer, unless one had to be left to some class, which then falls to another.
    capped = (np.ceil(shares) == sizes) & (sizes > 0)
    assert (np.abs(taken - shares) < 1 + capped.sum()).all()
    if not capped.any():
        assert (np.abs(taken - shares) < 1).all()


@given(cases())
def test_training_keeps_one_of_each_class_where_possible(case):
    whole, val_examples = case
    train, _ = hold_out(whole, val_examples)
    present = set(whole.labels.tolist())
    if len(whole) - val_examples >= len(present):
        assert set(train.labels.tolist()) == present


def test_a_balanced_set_gives_a_balanced_split():
    train, val = hold_out(numbered([600] * 10), 500)
    assert (np.bincount(val.labels) == 50).all()
    assert (np.bincount(train.labels) == 550).all()


def test_the_split_depends_on_nothing_but_its_seed():
    whole = numbered([30] * 10)
    first, again, other = (indices(hold_out(whole, 100, seed)[1]) for seed in (SPLIT_SEED, SPLIT_SEED, 1))
    assert (first == again).all()
    assert (first == indices(hold_out(whole, 100)[1])).all()
    assert set(first) != set(other)


def test_the_split_is_random():
    _, val = hold_out(numbered([60] * 10), 60)
    assert indices(val).mean() == pytest.approx(300, abs=75)


@pytest.mark.parametrize("val_examples", [100, 101, 0, -1])
def test_holding_out_everything_is_an_error_with_a_hint(val_examples):
    with pytest.raises(DataError, match=r"--config.data.val_examples to 0 .* or to at most 99"):
        hold_out(numbered([10] * 10), val_examples)
