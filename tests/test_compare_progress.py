from __future__ import annotations

import pytest

from fmnist_jax.compare.progress import EpochPace


def test_nothing_is_known_before_anything_was_trained():
    assert EpochPace().seconds({"model1": 3}) is None


def test_each_model_goes_on_at_its_own_pace_and_an_unknown_one_at_that_of_the_others():
    pace = EpochPace()
    pace.add("model1", 10, 20.0)
    pace.add("model1", 10, 40.0)
    pace.add("2c2d", 2, 10.0)
    pace.add("model3", 0, 5.0)
    assert pace.seconds({"model1": 5}) == pytest.approx(15)
    assert pace.seconds({"model1": 5, "2c2d": 3}) == pytest.approx(30)
    assert pace.seconds({"model3": 2}) == pytest.approx(8)
    assert pace.seconds({}) == 0
