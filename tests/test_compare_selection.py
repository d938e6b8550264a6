from __future__ import annotations

import pytest

from fmnist_jax.compare.selection import rungs


@pytest.mark.parametrize(
    ("trials", "epochs", "factor", "expected"),
    [
        (16, 5, 0, [(5, 16)]),
        (16, 5, 2, [(1, 16), (2, 8), (5, 4)]),
        (20, 10, 3, [(1, 20), (3, 6), (10, 2)]),
        (3, 100, 2, [(50, 3), (100, 1)]),  # no rung without a trial
        (20, 1, 2, [(1, 20)]),  # none without an epoch
        (1, 10, 2, [(10, 1)]),
    ],
)
def test_rungs_are_as_many_as_leave_a_trial_and_an_epoch(trials, epochs, factor, expected):
    assert rungs(trials, epochs, factor) == expected
