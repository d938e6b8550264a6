from __future__ import annotations

import numpy as np
import optax
import pytest

from fmnist_jax import optim
from fmnist_jax.compare.arms import Arm, parse_arms
from fmnist_jax.compare.search import trial_settings
from fmnist_jax.optim import Hyperparameter, Optimizer


def _arm(name: str) -> Arm:
    (arm,) = parse_arms([name], tuned=True)
    return arm


@pytest.mark.parametrize("search", ["halton", "sobol"])
@pytest.mark.parametrize("trials", [1, 2, 12])
def test_the_first_trial_is_the_defaults_and_the_others_are_in_the_space(search, trials):
    arm = _arm("adam:b1=0.8")
    settings = trial_settings(arm, trials, search, 0)
    assert len(settings) == trials
    assert settings[0] == optim.resolve("adam", {"b1": 0.8})
    for setting in settings[1:]:
        assert list(setting) == list(settings[0])
        assert setting["b1"] == 0.8
        for key, entry in arm.space().items():
            assert entry.low <= setting[key] <= entry.high
    assert len({tuple(setting.values()) for setting in settings}) == trials


@pytest.mark.parametrize("search", ["halton", "sobol"])
def test_trials_are_drawn_by_the_seed(search):
    arm = _arm("momentum")
    assert trial_settings(arm, 9, search, 3) == trial_settings(arm, 9, search, 3)
    assert trial_settings(arm, 9, search, 3)[1:] != trial_settings(arm, 9, search, 4)[1:]
    assert trial_settings(arm, 9, search, 3)[:5] == trial_settings(arm, 5, search, 3)


@pytest.mark.parametrize("search", ["halton", "sobol"])
def test_values_are_spread_evenly_on_their_scale(search, monkeypatch):
    monkeypatch.setattr(optim.OPTIMIZERS, "entries", dict(optim.OPTIMIZERS.entries))
    space = {
        "learning_rate": Hyperparameter(1e-3, 1e-5, 1e-1),
        "b": Hyperparameter(0.9, 0.5, 0.9995, "log1m"),
        "c": Hyperparameter(0.0, -1.0, 3.0, "linear"),
        "d": Hyperparameter(7.0, 7.0, 7.0, "linear"),
    }
    optim.register("mine", Optimizer(lambda rate, weight_decay, b, c, d: optax.identity(), space, "nothing"))
    settings = trial_settings(_arm("mine"), 257, search, 0)[1:]
    shares = {
        "learning_rate": [np.log10(setting["learning_rate"] / 1e-5) / 4 for setting in settings],
        "b": [np.log((1 - setting["b"]) / 0.5) / np.log(0.0005 / 0.5) for setting in settings],
        "c": [(setting["c"] + 1) / 4 for setting in settings],
    }
    for found in shares.values():
        # In each eighth of the scale an eighth of the values, as near as the sequence has them.
        counts = np.histogram(found, bins=8, range=(0, 1))[0]
        assert counts.sum() == 256
        assert np.abs(counts - 32).max() <= 1
    assert {setting["d"] for setting in settings} == {7.0}


def test_an_arm_with_nothing_to_search_has_one_trial():
    settings = trial_settings(_arm("momentum:learning_rate=0.1,momentum=0.8"), 20, "halton", 0)
    assert settings == [{"learning_rate": 0.1, "momentum": 0.8}]


def test_numbers_are_short_and_those_that_the_device_computes_with():
    for setting in trial_settings(_arm("adam"), 20, "halton", 0):
        for value in setting.values():
            assert len(f"{value!r}") <= 13
            assert np.float32(value) == np.float32(repr(value))
