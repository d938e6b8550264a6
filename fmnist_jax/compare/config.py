"""The schema of a study's config: the keys of a run's config that all its runs share, and the section `study`.

What differs between runs is set in the section `study` alone. The corresponding keys of a run's config stay unset:
setting one is an error that names the key of the study to set instead.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from typing import Any, Literal, TypeAlias, get_args

from ml_collections import ConfigDict

from fmnist_jax.config import schema as config_schema
from fmnist_jax.config.field import Field
from fmnist_jax.config.schema import MAX_EPOCHS
from fmnist_jax.errors import ConfigError

Mode: TypeAlias = Literal["quick", "tuned"]
MODES: tuple[str, ...] = get_args(Mode)
SEARCHES = ("halton", "sobol")

_NO_CHECKPOINTS = "a study records the figures of its runs, not their weights"

_SEED = "first seed of the final runs, the same for every arm; the seeds of trials start 1,000,000 higher"

# What is searched in a list of values where the study has one, by the key of the list.
CHOICES: Mapping[str, str] = {"batch_size": "batch_sizes", "warmup": "warmups", "weight_decay": "weight_decays"}

# The keys of a run's config that a study's config forbids, with the reason.
_FORBIDDEN: Mapping[str, str] = {
    **{
        key: f"a study takes it from the arms in config.study.optimizers, e.g. {key.replace('optimizer.', 'adam:')}=..."
        for key in config_schema.SCHEMA
        if key.startswith("optimizer.")
    },
    "model.name": "a study takes it from config.study.models",
    "optimizer.name": "a study takes it from config.study.optimizers",
    "schedule.name": "a study takes it from config.study.schedules",
    "train.epochs": "a study takes it from config.study.epochs",
    "train.patience": "every run of a study has the same budget",
    "train.devices": "each run of a study is on one device",
    "train.score_test": "a study takes it from config.study.score_test",
    "checkpoint.every": _NO_CHECKPOINTS,
    "checkpoint.keep": _NO_CHECKPOINTS,
}

_STUDY: config_schema.Schema = {
    "study.mode": Field("quick", "quick: arms as they are; tuned: search each arm's space first", choices=MODES),
    "study.optimizers": Field(
        ("rmsprop", "adam"), "the arms: name, or name:key=value,... with settings to keep fixed", items=str, min_items=1
    ),
    "study.datasets": Field((), "data sets, each a workload with each model; none: config.data.name alone", items=str),
    "study.models": Field(("model3",), "networks; see fmnist_jax.models", items=str, min_items=1),
    "study.epochs": Field((10,), "budgets: passes over the training images", 1, MAX_EPOCHS, items=int, min_items=1),
    "study.schedules": Field(("constant",), "shapes of the learning rate over the run", items=str, min_items=1),
    "study.seeds": Field(5, "final runs of each arm, with seeds from config.seed on", 1, 1000),
    "study.trials": Field(20, "in tuned mode: tuning runs of each arm, the first at its defaults", 1, 10_000),
    "study.seeds_per_trial": Field(1, "in tuned mode: runs of each trial, whose mean is its score", 1, 100),
    "study.search": Field("halton", "in tuned mode: the quasi-random sequence of the trials", choices=SEARCHES),
    "study.halving": Field(
        0, "in tuned mode: stop trials early, 1/halving of them going on at each rung; 0: none", 0, 100
    ),
    "study.batch_sizes": Field((), "in tuned mode: batch sizes to search, beside each arm's own space", 1, items=int),
    "study.warmups": Field((), "in tuned mode: warm-ups to search, each as config.schedule.warmup", items=str),
    "study.weight_decays": Field(
        (), "in tuned mode: weight decays to search, in place of an arm's range", 0, items=float
    ),
    "study.targets": Field((), "validation accuracies to measure the time to, fixed beforehand", 0, 1, items=float),
    "study.score_test": Field(False, "evaluate the test set too, once, after the last epoch of each final run"),
    "study.members_at_once": Field(0, "runs to train together; 0: as many as memory allows, on a CPU one per core", 0),
    "study.confidence": Field(0.95, "confidence level of every interval", gt=0, lt=1),
}


SCHEMA: config_schema.Schema = {
    **{
        key: dataclasses.replace(field, default=field.type, forbidden_reason=_FORBIDDEN[key])
        if key in _FORBIDDEN
        else field
        for key, field in config_schema.SCHEMA.items()
    },
    "seed": dataclasses.replace(config_schema.SCHEMA["seed"], help=_SEED),
    **_STUDY,
}


def study_config() -> ConfigDict:
    """Returns a locked config of a study, every key at its default."""
    return config_schema.default_config(SCHEMA)


def run_config(
    config: ConfigDict,
    *,
    model: str,
    epochs: int,
    schedule: str,
    optimizer: str,
    dataset: str = "",
    batch_size: int | None = None,
    warmup: str | None = None,
) -> ConfigDict:
    """Returns the config of a run of the study, without hyperparameters and seed, which are those of a member.

    **Arguments:**

    - `batch_size`, `warmup`: `None`: those of the study's config.
    """
    made = config_schema.default_config()
    values = dict(config_schema.flatten(config))
    made.update_from_flattened_dict(
        {key: values[key] for key in config_schema.SCHEMA if not SCHEMA[key].forbidden_reason}
    )
    made.model.name, made.optimizer.name, made.schedule.name = model, optimizer, schedule
    made.train.epochs = epochs
    if dataset:
        made.data.name = dataset
    if batch_size is not None:
        made.train.batch_size = batch_size
    if warmup is not None:
        made.schedule.warmup = warmup
    return made


def more_arms_or_seeds(before: ConfigDict, config: ConfigDict, changed: Collection[str]) -> Mapping[str, Any] | None:
    """Returns the arms and the number of seeds with which the study of `before` goes on, `None` where it cannot."""
    arms, seeds = config.study.optimizers, config.study.seeds
    only = set(changed) <= {"config.study.optimizers", "config.study.seeds"}
    more = set(before.study.optimizers) <= set(arms) and before.study.seeds <= seeds
    return {"optimizers": list(arms), "seeds": seeds} if only and more else None


def validate(config: ConfigDict) -> None:
    """Raises `ConfigError` for the first key that is unknown, missing, or of a wrong type or value.

    Also for a tuned study without a validation split, which would tune on the test set.
    """
    config_schema.validate(config, SCHEMA)
    if "auto" in config.study.datasets:
        raise ConfigError("config.study.datasets cannot hold 'auto', which may be one data set or another; name it")
    if config.study.halving == 1:
        raise ConfigError("config.study.halving must be 0, for no early stopping, or 2 or more, such as 2 or 3, not 1")
    for key in CHOICES.values():
        if config.study[key] and config.study.mode != "tuned":
            raise ConfigError(f"config.study.{key} is searched where config.study.mode is tuned, not in a quick study")
        if len(config.study[key]) == 1:
            raise ConfigError(
                f"config.study.{key} must be two values or more to search, or none; a single one is fixed"
            )
    if config.study.mode == "tuned" and not config.data.val_examples:
        raise ConfigError(
            "config.data.val_examples must be above 0 where config.study.mode is tuned, since tuning on the test set "
            "would bias its accuracy; e.g. --config.data.val_examples=5000"
        )
