from __future__ import annotations

import pytest

from fmnist_jax import optim
from fmnist_jax.compare.arms import parse_arms
from fmnist_jax.errors import ConfigError


def test_an_arm_is_an_optimizer_at_its_defaults_but_for_what_is_fixed():
    plain, fixed = parse_arms(["adam", "adam:learning_rate=3e-4, b1=0.8"], tuned=False)
    assert plain.defaults() == optim.resolve("adam", {})
    assert fixed.name == "adam:learning_rate=3e-4, b1=0.8"
    assert fixed.optimizer == "adam"
    assert fixed.defaults() == optim.resolve("adam", {"learning_rate": 3e-4, "b1": 0.8})


def test_what_is_fixed_is_not_searched():
    plain, fixed, whole = parse_arms(["adam", "adam:b1=0.8", "sgd:learning_rate=0.1"], tuned=True)
    assert list(plain.space()) == ["learning_rate", "b1", "b2", "eps"]
    assert list(fixed.space()) == ["learning_rate", "b2", "eps"]
    assert whole.space() == {}


def test_what_every_optimizer_takes_can_be_set():
    (arm,) = parse_arms(["sgd:weight_decay=0.01,clip_norm=1"], tuned=False)
    assert arm.defaults() == {"learning_rate": 0.01, "weight_decay": 0.01, "clip_norm": 1.0}


@pytest.mark.parametrize(
    ("arm", "message"),
    [
        ("adamm", r"the optimizer of arm 'adamm' must be one of sgd, .*, not 'adamm'; did you mean 'adam'\?"),
        ("", r"the optimizer of arm '' must be one of sgd, .*, not ''"),
        (
            "adam:momentum=0.9",
            "arm 'adam:momentum=0.9' sets 'momentum', but adam does not take it; it takes learning_rate, b1, .*",
        ),
        ("adam:learnin_rate=1", r".* sets 'learnin_rate', .*; did you mean 'learning_rate'\?"),
        ("adam:b1", "arm 'adam:b1' has 'b1' where key=value is wanted, e.g. learning_rate=3e-4"),
        ("adam:", "arm 'adam:' has '' where key=value is wanted, .*"),
        ("adam:b1=0.8,b1=0.9", "arm 'adam:b1=0.8,b1=0.9' has b1 twice"),
        ("adam:b1=high", "b1 of arm 'adam:b1=high' must be a number, not 'high'"),
        ("adam:b1=1", "b1 of arm 'adam:b1=1' must be below 1, not 1.0"),
        (
            "schedule-free-adamw:b1=0",
            "b1 of arm 'schedule-free-adamw:b1=0' must be at least 0.001, not 0.0",
        ),
        ("adam:learning_rate=-1", "learning_rate of arm 'adam:learning_rate=-1' must be above 0, not -1.0"),
        ("adam:learning_rate=nan", "learning_rate of arm 'adam:learning_rate=nan' must be a finite number, not nan"),
    ],
)
def test_an_arm_that_cannot_be(arm, message):
    with pytest.raises(ConfigError, match=f"^config.study.optimizers: {message}$"):
        parse_arms(["rmsprop", arm], tuned=False)


def test_two_arms_that_would_be_the_same_runs():
    for arm in ("adam", "adam:learning_rate=1e-3", "adam:b1=0.9,b2=0.999"):
        with pytest.raises(ConfigError, match=f"'adam' and '{arm}' are the same setting; leave one out"):
            parse_arms(["adam", arm], tuned=False)
    with pytest.raises(ConfigError, match="are the same setting"):
        parse_arms(["adam:b1=0.8,eps=1e-8", "adam:eps=1e-08,b1=.8"], tuned=True)
    # Tuned, one searches what the other keeps.
    assert len(parse_arms(["adam", "adam:learning_rate=1e-3"], tuned=True)) == 2
