"""What a config file declares beside its config, `RECORD = {"target": 0.92, "n": 20, "first_seed": 1000}`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ml_collections import ConfigDict

from fmnist_jax.config import schema as config_schema
from fmnist_jax.config.field import Field
from fmnist_jax.config.python_file import read_config_file, read_constant
from fmnist_jax.errors import ConfigError

_RECORD = {
    "target": Field(float, "the test accuracy that the mean over runs has to exceed", gt=0, lt=1),
    "n": Field(20, "how many runs: 20 or more, or 10 or more where one takes over 4 minutes", 10, 1000),
    "first_seed": Field(1000, "their seeds are consecutive from it on", 0, 10**9),
}
# Of the config that a record's or a pilot's workdir holds.
SCHEMA: config_schema.Schema = {
    **config_schema.SCHEMA,
    **{f"record.{name}": field for name, field in _RECORD.items()},
}
_FORBIDDEN = {"init_from": "starts from random weights", "train.patience": "stops no run by its score"}


def declared(config: ConfigDict, config_file: Path) -> ConfigDict:
    """Returns the config with the section `record` that its file declares; what it does not declare is the default.

    **Raises:** `ConfigError` naming the file for a wrong declaration.
    """
    found = read_constant(config_file, "RECORD") or {}
    if not isinstance(found, Mapping):
        raise ConfigError(f'{config_file}: RECORD must be a dict as {{"target": 0.92}}, not {found!r:.40}')
    made = config.copy_and_resolve_references()
    with made.unlocked():
        made.record = ConfigDict({name: field.placeholder() for name, field in _RECORD.items()} | dict(found))
    try:
        config_schema.validate(made, SCHEMA)
    except ConfigError as error:
        raise ConfigError(f"{config_file}: RECORD: {error}") from None
    return config_schema.lock(made)


def seeds_of(config: ConfigDict) -> range:
    """Returns the seeds of a record."""
    return range(config.record.first_seed, config.record.first_seed + config.record.n)


def registered(config: ConfigDict, config_file: Path) -> ConfigDict:
    """Returns the config of a record, which trains on all training images.

    **Raises:** `ConfigError` where the file declares no target, or the config is not the file's or against the rules.
    """
    made = declared(config, config_file)
    if made.record.target is None:
        raise ConfigError(f'{config_file} declares no RECORD = {{"target": ...}}; try it out with --pilot')
    changed = [
        line
        for line in config_schema.differences(config, read_config_file(config_file))
        if not line.startswith("config.data.dir:")
    ]
    if changed:
        raise ConfigError(f"{changed[0]} as in {config_file}; a record has the config that was committed")
    for key, reason in _FORBIDDEN.items():
        if (value := dict(config_schema.flatten(made))[key]) != SCHEMA[key].default:
            raise ConfigError(f"config.{key} must be {SCHEMA[key].default!r}, not {value!r}: a record {reason}")
    made.data.val_examples, made.seed = 0, made.record.first_seed
    return made
