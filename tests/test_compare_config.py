from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from fmnist_jax.compare.config import SCHEMA, run_config, study_config, validate
from fmnist_jax.config import schema as config_schema
from fmnist_jax.config.field import split_items
from fmnist_jax.errors import ConfigError


def _with(**changes: Any):
    """The default config with `changes`, keys with `__` for the dot."""
    config = study_config()
    with config.unlocked(), config.ignore_type():
        config.update_from_flattened_dict({key.replace("__", "."): value for key, value in changes.items()})
    return config


@pytest.mark.smoke
def test_the_default_is_valid_locked_and_survives_json():
    config = study_config()
    validate(config)
    assert config.is_locked
    changed = _with(study__optimizers=("adam:b1=0.8", "sgd"), study__targets=(0.5,), study__epochs=(1, 2))
    for each in (config, changed):
        read = config_schema.from_dict(json.loads(json.dumps(each.to_dict())), SCHEMA)
        assert config_schema.differences(read, each) == []
        assert read.is_locked


def test_numbers_of_numpy_are_taken_as_pythons():
    config = study_config()
    config.study.seeds, config.study.confidence = np.int64(3), np.float32(0.5)
    config.study.epochs, config.study.targets = (np.int64(1), np.int64(2)), list(np.float32([0.25, 0.5]))
    config.loss.label_smoothing = np.float16(0.5)
    validate(config)
    assert json.loads(json.dumps(config.to_dict()))["study"]["epochs"] == [1, 2]
    assert run_config(config, model="model1", epochs=2, schedule="constant", optimizer="adam").train.epochs == 2


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("mode", "slow", "config.study.mode must be one of quick, tuned, not 'slow'"),
        ("search", "haltn", "config.study.search must be one of halton, sobol, not 'haltn'; did you mean 'halton'?"),
        ("optimizers", (), "config.study.optimizers must be 1 or more strings, not ()"),
        ("optimizers", ("adam", 3), "config.study.optimizers holds 3; each must be a string, not 3"),
        ("optimizers", ("adam", "adam"), "config.study.optimizers holds 'adam' twice"),
        ("optimizers", "adam", "config.study.optimizers must be 1 or more strings, not 'adam'"),
        ("epochs", (0,), "config.study.epochs holds 0; each must be at least 1, not 0"),
        ("epochs", (2.5,), "config.study.epochs holds 2.5; each must be an integer, not 2.5"),
        ("models", (), "config.study.models must be 1 or more strings, not ()"),
        ("targets", (0.9, 90.0), "config.study.targets holds 90.0; each must be at most 1, not 90.0"),
        ("targets", None, "config.study.targets must be numbers, not unset"),
        ("halving", 1, "config.study.halving must be 0, for no early stopping, or 2 or more, such as 2 or 3, not 1"),
        ("seeds", 0, "config.study.seeds must be at least 1, not 0"),
        ("confidence", 1.0, "config.study.confidence must be below 1, not 1.0"),
        ("sedes", 3, "config.study.sedes is not a config key; did you mean 'study.seeds'?"),
    ],
)
def test_a_wrong_value_is_refused_with_what_is_allowed(key, value, problem):
    with pytest.raises(ConfigError) as caught:
        validate(_with(**{f"study__{key}": value}))
    assert str(caught.value) == problem


@pytest.mark.parametrize(
    ("key", "value", "instead"),
    [
        ("model.name", "model3", "config.study.models"),
        ("optimizer.name", "rmsprop", "config.study.optimizers"),
        ("optimizer.learning_rate", 0.1, "the arms in config.study.optimizers, e.g. adam:learning_rate=..."),
        ("optimizer.clip_norm", 0.0, "the arms in config.study.optimizers, e.g. adam:clip_norm=..."),
        ("schedule.name", "constant", "config.study.schedules"),
        ("train.epochs", 10, "config.study.epochs"),
        ("train.score_test", False, "config.study.score_test"),
        ("checkpoint.every", 1, "the figures of its runs, not their weights"),
    ],
)
def test_what_the_study_sets_itself_cannot_be_set_beside_it_not_even_to_its_default(key, value, instead):
    with pytest.raises(ConfigError) as caught:
        validate(_with(**{key.replace(".", "__"): value}))
    assert str(caught.value).startswith(f"config.{key} cannot be set here: a study ")
    assert str(caught.value).endswith(instead)


def test_options_of_an_optimizer_are_settings_of_an_arm():
    config = study_config()
    config.optimizer.options.frequency = 5
    with pytest.raises(ConfigError, match=r"^config\.optimizer\.options\.frequency cannot .* e\.g\. adam:frequency="):
        validate(config)


def test_nothing_is_chosen_by_the_test_set():
    with pytest.raises(ConfigError, match=r"config\.data\.val_examples must be above 0 where config\.study\.mode is"):
        validate(_with(study__mode="tuned"))
    validate(_with(study__mode="tuned", data__val_examples=10))
    validate(_with(study__mode="quick"))


@pytest.mark.parametrize(("key", "values"), [("batch_sizes", (64, 128)), ("weight_decays", (0.0, 0.1))])
def test_lists_are_searched_in_tuned_studies_alone(key, values):
    tuned = {"study__mode": "tuned", "data__val_examples": 10}
    validate(_with(**tuned, **{f"study__{key}": values}))
    with pytest.raises(ConfigError, match=rf"config\.study\.{key} is searched where config\.study\.mode is tuned"):
        validate(_with(**{f"study__{key}": values}))
    with pytest.raises(ConfigError, match=rf"config\.study\.{key} must be two values or more to search, or none"):
        validate(_with(**tuned, **{f"study__{key}": values[:1]}))


def test_a_config_of_the_other_kind_is_told_apart():
    with pytest.raises(ConfigError, match=r"^it is the config of a study; run it with scripts/compare\.py$"):
        config_schema.validate(study_config())
    with pytest.raises(ConfigError, match=r"^it is the config of a run; run it with scripts/train\.py$"):
        validate(config_schema.default_config())


def test_help_leaves_out_what_cannot_be_set():
    lines = config_schema.describe(SCHEMA).splitlines()
    assert any(line.startswith("  --config.study.optimizers (default rmsprop,adam): ") for line in lines)
    assert any(line.startswith("  --config.study.targets (default none): ") for line in lines)
    assert any(line.startswith("  --config.train.batch_size (default 256): ") for line in lines)
    assert not any("config.train.epochs " in line for line in lines)


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("rmsprop", ["rmsprop"]),
        ("rmsprop,adam", ["rmsprop", "adam"]),
        ("(rmsprop, 'adam',)", ["rmsprop", "adam"]),
        ("adam:learning_rate=3e-4,b1=0.8,sgd", ["adam:learning_rate=3e-4,b1=0.8", "sgd"]),
        ("adam:b1=0.8,adam:b1=0.9", ["adam:b1=0.8", "adam:b1=0.9"]),
        ("", []),
    ],
)
def test_a_tuple_as_people_type_it(text, items):
    assert split_items(text) == items
