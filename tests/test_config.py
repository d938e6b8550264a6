from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

import ml_collections
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fmnist_jax.config import schema as config
from fmnist_jax.config.schema import SCHEMA, Field
from fmnist_jax.errors import ConfigError


def _with(key: str, value: Any) -> ml_collections.ConfigDict:
    changed = config.default_config()
    with changed.unlocked(), changed.ignore_type():
        changed.update_from_flattened_dict({key: value})
    return changed


def _allowed(field: Field) -> st.SearchStrategy:
    unset = st.none() if isinstance(field.default, type) else st.nothing()
    if field.items is not None:
        item = dataclasses.replace(field, default=field.items, items=None)
        return st.lists(_allowed(item).filter(lambda each: each is not None), unique=True).map(tuple)
    if field.type is bool:
        return st.booleans() | unset
    if field.choices:
        return st.sampled_from(field.choices)
    if field.type is str:
        return st.text(max_size=8)
    low = field.ge if field.ge is not None else field.gt
    high = field.le if field.le is not None else field.lt
    if field.type is int:
        return st.integers(int(low), int(high if high is not None else 2**40))
    numbers = st.floats(low, high, allow_nan=False, allow_infinity=False, exclude_min=field.gt is not None)
    return numbers.filter(lambda value: field.lt is None or value < field.lt) | unset


@pytest.mark.smoke
def test_the_defaults_are_valid_and_locked():
    default = config.default_config()
    config.validate(default)
    assert set(dict(config.flatten(default))) == set(SCHEMA)
    assert default.is_locked
    with pytest.raises(AttributeError, match="locked"):
        default.optimizer.learnin_rate = 1.0


@given(st.fixed_dictionaries({}, optional={key: _allowed(field) for key, field in SCHEMA.items()}))
def test_json_reads_back_every_config_that_is_valid(changes):
    changed = config.default_config()
    changed.update_from_flattened_dict(changes)
    config.validate(changed)
    found = config.from_dict(json.loads(json.dumps(changed.to_dict())))
    assert found.is_locked
    assert dict(config.flatten(found)) == dict(config.flatten(changed))
    assert config.differences(found, changed) == []


@pytest.mark.parametrize("key", [key for key, field in SCHEMA.items() if field.type is float])
def test_a_whole_number_will_do_for_a_number(key):
    value = 1 if SCHEMA[key].problem(1) is None else 0
    changed = config.default_config()
    changed.update_from_flattened_dict({key: value})
    config.validate(changed)
    assert dict(config.flatten(config.from_dict(json.loads(json.dumps(changed.to_dict())))))[key] == value


def _set_numpy_numbers(made: ml_collections.ConfigDict) -> None:
    made.optimizer.learning_rate = np.float32(0.25)
    made.loss.label_smoothing = np.int64(0)
    made.seed = np.uint8(3)
    made.train.update(score_test=np.bool_(True), batch_size=np.int32(64))
    made.data.class_names = np.array(["a", "b"])
    made.model.options = {"width": np.int64(2), "inner": {"rates": (np.float16(0.5), [np.array(1)])}}
    made.model.options.depth = np.array(5)


def test_numbers_of_numpy_are_taken_as_pythons():
    made = config.default_config()
    _set_numpy_numbers(made)
    config.validate(made)
    assert config.differences(config.from_dict(json.loads(json.dumps(made.to_dict()))), made) == []
    assert (made.optimizer.learning_rate, made.seed, made.train.score_test) == (0.25, 3, True)
    assert type(made.loss.label_smoothing) is float
    assert made.data.class_names == ("a", "b")
    copied = made.copy_and_resolve_references()
    copied.train.epochs = np.int64(7)
    assert copied.train.epochs == 7


def test_a_number_of_numpy_that_is_not_allowed_is_refused_as_pythons_is():
    made = config.default_config()
    with pytest.raises(TypeError, match="float"):
        made.train.epochs = np.float32(1.5)
    made.optimizer.learning_rate = np.float32(-1)
    with pytest.raises(ConfigError, match=r"must be above 0, not -1\.0$"):
        config.validate(made)


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("seed", -1, "must be at least 0, not -1"),
        ("seed", 2**31, "must be at most 2147483647, not 2147483648"),
        ("seed", 1.0, "must be an integer, not 1.0"),
        ("seed", True, "must be an integer, not True"),
        ("seed", None, "must be an integer, not unset"),
        ("precision", "bfloat", "must be one of float32, bfloat16, not 'bfloat'; did you mean 'bfloat16'?"),
        ("data.class_names", ("a", "a"), "holds 'a' twice"),
        ("data.dir", 3, "must be a string, not 3"),
        ("optimizer.learning_rate", 0.0, "must be above 0, not 0.0"),
        ("optimizer.learning_rate", "1e-3", "must be a number, not '1e-3'"),
        ("optimizer.learning_rate", math.nan, "must be a finite number, not nan"),
        ("optimizer.weight_decay", math.inf, "must be a finite number, not inf"),
        ("optimizer.b1", 1.0, "must be below 1, not 1.0"),
        ("optimizer.b2", -0.1, "must be at least 0, not -0.1"),
        ("optimizer.clip_norm", None, "must be a number, not unset"),
        ("schedule.milestones", (3, 6), "holds 3; each must be a string, e.g. '3 epochs', not 3"),
        ("schedule.final_scale", 1.5, "must be at most 1, not 1.5"),
        ("train.epochs", 0, "must be at least 1, not 0"),
        ("train.score_test", 1, "must be true or false, not 1"),
        ("train.ema_decay", 1.0, "must be below 1, not 1.0"),
        ("checkpoint.keep", 0, "must be at least 1, not 0"),
    ],
)
def test_a_wrong_value_is_refused_with_what_is_allowed(key, value, problem):
    with pytest.raises(ConfigError) as caught:
        config.validate(_with(key, value))
    assert str(caught.value).startswith(f"config.{key} {problem}")


@pytest.mark.parametrize(
    ("key", "suggestion"),
    [
        ("optimizer.learnig_rate", "; did you mean 'optimizer.learning_rate'?"),
        ("learning_rate", "; did you mean 'optimizer.learning_rate'?"),
        ("zebra", ""),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest(key, suggestion):
    with pytest.raises(ConfigError) as caught:
        config.validate(_with(key, 1.0))
    assert str(caught.value) == f"config.{key} is not a config key{suggestion}"


def test_a_renamed_key_answers_with_its_new_name():
    for key, new in config.RENAMED.items():
        assert key not in SCHEMA
        assert new in SCHEMA
        with pytest.raises(ConfigError) as caught:
            config.validate(_with(key, "xla"))
        assert str(caught.value) == f"config.{key} is now config.{new}"


def test_a_missing_key_is_named():
    changed = config.default_config()
    with changed.unlocked():
        del changed.train["epochs"]
    with pytest.raises(ConfigError, match=r"config\.train\.epochs is missing"):
        config.validate(changed)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "config.seed is missing"),
        (config.default_config().to_dict() | {"seed": "1"}, "config.seed must be an integer, not '1'"),
        (config.default_config().to_dict() | {"sed": 1}, "config.sed is not a config key; did you mean"),
        (config.default_config().to_dict() | {"__class__": 1}, "it has a key that no config has"),
        (
            config.default_config().to_dict() | {"model": {"options": {"__class__": 1}}},
            "it has a key that no config has",
        ),
    ],
)
def test_what_is_no_saved_config_is_refused(values, message):
    with pytest.raises(ConfigError, match=message.replace(".", r"\.")):
        config.from_dict(values)


def test_the_config_of_an_earlier_version_gets_the_defaults_of_later_keys():
    saved = config.default_config().to_dict() | {"seed": 3}
    for key in ("cooldown", "milestones", "gamma", "weight_decay"):
        del saved["schedule"][key]
    del saved["optimizer"]["b1"]  # one that is unset
    found = config.from_dict(json.loads(json.dumps(saved)))
    assert config.differences(found, config.default_config()) == ["config.seed: 3, not 0"]
    with pytest.raises(ConfigError, match=r"config\.train is not a config key"):
        config.from_dict(saved | {"train": 5})


def test_differences_are_a_line_each():
    one, other = config.default_config(), config.default_config()
    assert config.differences(one, other) == []
    one.optimizer.learning_rate = 0.1
    other.seed, other.data.name = 5, "csv"
    assert config.differences(one, other) == [
        "config.data.name: 'fashion_mnist', not 'csv'",
        "config.optimizer.learning_rate: 0.1, not None",
        "config.seed: 0, not 5",
    ]


def test_help_has_a_line_for_each_key():
    lines = config.describe().splitlines()
    assert len(lines) == len(SCHEMA)
    assert "  --config.train.epochs (default 10): passes over the training images" in lines
    assert any(line.startswith("  --config.optimizer.learning_rate (default unset): ") for line in lines)
