"""The config schema: every key with its default, its meaning and what it may be; validation; JSON.

A config is a locked `ml_collections.ConfigDict`. The names of data sets are checked here; the names of models,
optimizers and schedules, and what each of them takes, are checked by their own tables (`fmnist_jax.models`,
`fmnist_jax.optimizers`, `fmnist_jax.schedules`), which anyone may add to.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

import ml_collections
from ml_collections import config_dict

from fmnist_jax.errors import ConfigError, did_you_mean

DATA_NAMES = ("fashion_mnist", "csv", "synthetic", "auto")
PRECISIONS = ("float32", "bfloat16")
LOWERINGS = ("auto", "xla", "patches")


@dataclasses.dataclass(frozen=True)
class Field:
    """One key of the config.

    **Attributes:**

    - `default`: its default; a type stands for "not set", a value of that type being allowed.
    - `help`: what it means, in one line.
    - `low`, `high`: the range of a number, inclusive; `above`, `below`: exclusive bounds.
    - `choices`: the allowed strings.
    """

    default: Any
    help: str
    low: float | None = None
    high: float | None = None
    above: float | None = None
    below: float | None = None
    choices: tuple[str, ...] = ()

    @property
    def type(self) -> type:
        return self.default if isinstance(self.default, type) else type(self.default)

    def placeholder(self) -> Any:
        """The value to put into a fresh config: the default, or an unset value of the right type."""
        return config_dict.placeholder(self.type) if isinstance(self.default, type) else self.default

    def problem(self, value: Any) -> str | None:
        """What is wrong with `value`, with what is allowed; `None` where nothing is."""
        if value is None:
            return None if isinstance(self.default, type) else f"must be a {self.type.__name__}, not unset"
        if not _is_a(value, self.type):
            return f"must be a {self.type.__name__}, not {value!r}"
        if self.choices and value not in self.choices:
            return f"must be one of {', '.join(self.choices)}, not {value!r}{did_you_mean(value, self.choices)}"
        if isinstance(value, int | float) and not isinstance(value, bool):
            return self._range_problem(value)
        return None

    def _range_problem(self, value: float) -> str | None:
        if not math.isfinite(value):
            return f"must be a finite number, not {value!r}"
        if self.above is not None and value <= self.above:
            return f"must be above {self.above:g}, not {value!r}"
        if self.low is not None and value < self.low:
            return f"must be at least {self.low:g}, not {value!r}"
        if self.below is not None and value >= self.below:
            return f"must be below {self.below:g}, not {value!r}"
        if self.high is not None and value > self.high:
            return f"must be at most {self.high:g}, not {value!r}"
        return None


SCHEMA: Mapping[str, Field] = {
    "seed": Field(0, "fixes initialisation, data order and dropout", 0, 2**31 - 1),
    "precision": Field("float32", "of the computation; parameters stay float32", choices=PRECISIONS),
    "data.name": Field("fashion_mnist", "the data set", choices=DATA_NAMES),
    "data.dir": Field("", "folder with its files; else $FMNIST_DATA_DIR; else they are downloaded"),
    "data.val_examples": Field(0, "training images held out to validate on; 0: validate on the test set", 0),
    "model.name": Field("model3", "the network; see fmnist_jax.models"),
    "model.conv_lowering": Field("auto", "how convolutions are computed; auto chooses by backend", choices=LOWERINGS),
    "optimizer.name": Field("rmsprop", "the optimizer; see fmnist_jax.optimizers"),
    "optimizer.learning_rate": Field(float, "peak learning rate; unset: the optimizer's default", above=0),
    "optimizer.weight_decay": Field(float, "decoupled decay of the kernels, times the learning rate", 0),
    "optimizer.momentum": Field(float, "of sgd-like optimizers", 0, below=1),
    "optimizer.decay": Field(float, "of rmsprop's average of squared gradients (Keras: rho)", 0, below=1),
    "optimizer.b1": Field(float, "decay of the first moment", 0, below=1),
    "optimizer.b2": Field(float, "decay of the second moment", 0, below=1),
    "optimizer.eps": Field(float, "added to the denominator", above=0),
    "optimizer.clip_norm": Field(0.0, "clip the gradient to this global norm; 0: never", 0),
    "schedule.name": Field("constant", "shape of the learning rate over the run; see fmnist_jax.schedules"),
    "schedule.warmup": Field("0 steps", "linear warm-up, as '500 steps', '2 epochs' or '10%' of the run"),
    "schedule.final_scale": Field(0.0, "where a decaying schedule ends, as a share of the peak", 0, 1),
    "train.epochs": Field(10, "passes over the training images", 1),
    "train.batch_size": Field(256, "images a step", 1),
    "train.ema_decay": Field(0.0, "evaluate an exponential moving average of the parameters; 0: off", 0, below=1),
    "train.score_test": Field(False, "score the test set too, once, after the last epoch"),
    "train.eval_batch_size": Field(500, "images an evaluation step", 1),
    "checkpoint.every": Field(1, "epochs between checkpoints; the last epoch always has one", 1),
    "checkpoint.keep": Field(2, "how many of the newest to keep", 1),
}


def default_config() -> ml_collections.ConfigDict:
    """Returns a locked config of every key's default."""
    config = ml_collections.ConfigDict()
    for key, field in SCHEMA.items():
        section, _, leaf = key.rpartition(".")
        if section and section not in config:
            config[section] = ml_collections.ConfigDict()
        (config[section] if section else config)[leaf] = field.placeholder()
    return config.lock()


def validate(config: ml_collections.ConfigDict) -> None:
    """Raises `ConfigError` for the first key that is unknown, missing, of a wrong type or value."""
    found = dict(flatten(config))
    for key in found:
        if key not in SCHEMA:
            raise ConfigError(f"config.{key} is no key of the config{did_you_mean(key, SCHEMA)}")
    for key, field in SCHEMA.items():
        if key not in found:
            raise ConfigError(f"config.{key} is missing; start from fmnist_jax.config.default_config()")
        problem = field.problem(found[key])
        if problem:
            raise ConfigError(f"config.{key} {problem}")


def flatten(config: ml_collections.ConfigDict) -> Iterator[tuple[str, Any]]:
    """Yields `("section.leaf", value)` for every leaf of the config, unset ones as `None`."""
    for name, value in config.items():
        if isinstance(value, ml_collections.ConfigDict):
            yield from ((f"{name}.{key}", leaf) for key, leaf in flatten(value))
        else:
            yield name, value


def to_json(config: ml_collections.ConfigDict) -> str:
    """Returns the config as JSON text, keys sorted; `from_json` is its inverse."""
    return json.dumps(config.to_dict(), indent=2, sort_keys=True) + "\n"


def from_json(text: str) -> ml_collections.ConfigDict:
    """Returns the locked config that `to_json` wrote; raises `ConfigError` where `text` is not such a config."""
    try:
        values = json.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigError(f"the saved config is not JSON ({error})") from None
    if not isinstance(values, dict):
        raise ConfigError("the saved config is not a JSON object")
    saved = ml_collections.ConfigDict(values)
    validate(saved)
    config = default_config()
    config.update(saved)
    return config


def differences(a: ml_collections.ConfigDict, b: ml_collections.ConfigDict) -> list[str]:
    """Returns a line `config.key: x, not y` for each key whose value in `a`, x, is not the value in `b`, y."""
    left, right = dict(flatten(a)), dict(flatten(b))
    keys = sorted(left.keys() | right.keys())
    return [f"config.{k}: {left.get(k)!r}, not {right.get(k)!r}" for k in keys if left.get(k) != right.get(k)]


def describe() -> str:
    """Returns the keys of the config as text for `--help`: name, default, meaning."""
    lines = []
    for key, field in SCHEMA.items():
        default = "unset" if isinstance(field.default, type) else repr(field.default)
        lines.append(f"  --config.{key} (default {default}): {field.help}")
    return "\n".join(lines)


def _is_a(value: Any, kind: type) -> bool:
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return type(value) is kind
