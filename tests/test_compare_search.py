from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import optax
import pytest

from fmnist_jax import optim
from fmnist_jax.compare.arms import parse_arms
from fmnist_jax.compare.config import study_config
from fmnist_jax.compare.search import Setting, trial_settings
from fmnist_jax.optim import Hyperparameter, Optimizer


def _settings(name: str, trials: int, search: str = "halton", seed: int = 0, **study: Any) -> list[Setting]:
    config = study_config()
    config.seed = seed
    config.study.update({"mode": "tuned", "trials": trials, "search": search} | study)
    (arm,) = parse_arms([name], tuned=True)
    return trial_settings(arm, config)


def _numbers(*arguments: Any, **study: Any) -> list[Mapping[str, float]]:
    return [setting.hyperparameters for setting in _settings(*arguments, **study)]


@pytest.mark.parametrize("search", ["halton", "sobol"])
@pytest.mark.parametrize("trials", [1, 2, 12])
def test_the_first_trial_is_the_defaults_and_the_others_are_in_the_space(search, trials):
    settings = _numbers("adam:b1=0.8", trials, search)
    (arm,) = parse_arms(["adam:b1=0.8"], tuned=True)
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
    assert _numbers("momentum", 9, search, 3) == _numbers("momentum", 9, search, 3)
    assert _numbers("momentum", 9, search, 3)[1:] != _numbers("momentum", 9, search, 4)[1:]
    assert _numbers("momentum", 9, search, 3)[:5] == _numbers("momentum", 5, search, 3)


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
    settings = _numbers("mine", 257, search)[1:]
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
    settings = _numbers("momentum:learning_rate=0.1,momentum=0.8", 20)
    assert settings == [{"learning_rate": 0.1, "momentum": 0.8}]


def test_numbers_are_short_and_those_that_the_device_computes_with():
    for setting in _numbers("adam", 20):
        for value in setting.values():
            assert len(f"{value!r}") <= 13
            assert np.float32(value) == np.float32(repr(value))


def test_batch_sizes_and_warmups_are_searched_in_a_list_beside_the_arms_own_space():
    settings = _settings("adam", 61, batch_sizes=(64, 128, 256), warmups=("0 steps", "5%"))
    assert settings[0] == Setting(optim.resolve("adam", {}))
    assert {setting.batch_size for setting in settings[1:]} == {64, 128, 256}
    counts = Counter((setting.batch_size, setting.warmup) for setting in settings[1:])
    assert len(counts) == 6
    assert min(counts.values()) >= 8
    assert len({setting.hyperparameters["learning_rate"] for setting in settings}) == 61


def test_weight_decays_replace_the_range_of_an_arm_but_not_what_it_fixes():
    found = _numbers("adamw", 30, weight_decays=(0.0, 0.01, 0.1))
    assert {each.get("weight_decay") for each in found[1:]} == {None, 0.01, 0.1}
    assert {each.get("weight_decay") for each in _numbers("sgd", 30, weight_decays=(0.0, 0.1))} == {None, 0.1}
    fixed = _numbers("adamw:weight_decay=0.5", 5, weight_decays=(0.01, 0.1))
    assert {each["weight_decay"] for each in fixed} == {0.5}


def test_an_arm_that_fixes_all_its_settings_is_searched_in_the_lists():
    settings = _settings("sgd:learning_rate=0.1", 9, batch_sizes=(8, 16))
    assert {setting.batch_size for setting in settings} == {None, 8, 16}
