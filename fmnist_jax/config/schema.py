"""The config schema: every key with its default, its meaning and the values that it takes; validation.

A config is a locked `ml_collections.ConfigDict`: either a run's, with the keys below, or a study's, which has further
ones (`fmnist_jax.compare.config`). The names of data sets, models,
optimizers and so on, and what each of them takes, are checked by their own registries, which anyone may add to.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal, TypeAlias, get_args

import ml_collections

from fmnist_jax.config.config_dict import Config
from fmnist_jax.config.field import Field
from fmnist_jax.errors import ConfigError, command, did_you_mean

PRECISIONS = ("float32", "bfloat16")
ConvAlgorithm: TypeAlias = Literal["auto", "xla", "patches", "winograd", "fourier"]
CONV_ALGORITHMS: tuple[ConvAlgorithm, ...] = get_args(ConvAlgorithm)

# Former names of keys.
RENAMED: Mapping[str, str] = {"model.conv_lowering": "model.conv_algorithm"}

# The sections of a config with keys of the user's own, checked by the registries: arguments of the network's factory,
# and hyperparameters of the optimizer that are no keys below.
OPTIONS = ("model.options", "optimizer.options")

FLIPS = ("none", "random", "alternating")
PADDINGS = ("zero", "reflect")
TTA = ("none", "flip", "flip+translate")
MAX_EPOCHS = 10**6

Schema: TypeAlias = Mapping[str, Field]

SCHEMA: Schema = {
    "seed": Field(0, "fixes initialisation, data order and dropout", 0, 2**31 - 1),
    "init_from": Field("", "start from the weights of another run: WORKDIR, WORKDIR:best or WORKDIR:EPOCH"),
    "precision": Field("float32", "of the computation; parameters stay float32", choices=PRECISIONS),
    "data.name": Field("fashion_mnist", "the data set; see fmnist_jax.data.sources"),
    "data.dir": Field("", "folder with its files; else $FMNIST_DATA_DIR; else they are downloaded"),
    "data.class_names": Field((), "of idx and npz: the classes, in the order of their labels", items=str),
    "data.val_examples": Field(0, "training images held out to validate on; 0: validate on the test set", 0),
    "model.name": Field("model3", "the network; see fmnist_jax.models"),
    "model.conv_algorithm": Field(
        "auto", "how convolutions are computed; auto chooses by backend", choices=CONV_ALGORITHMS
    ),
    "optimizer.name": Field("rmsprop", "the optimizer; see fmnist_jax.optim"),
    "optimizer.learning_rate": Field(float, "peak learning rate; unset: the optimizer's default", gt=0),
    "optimizer.adam_learning_rate": Field(float, "of muon: the rate of AdamW, for head, norms and biases", gt=0),
    "optimizer.weight_decay": Field(float, "decoupled decay of the kernels, times the learning rate", 0),
    "optimizer.momentum": Field(float, "of sgd-like optimizers", 0, lt=1),
    "optimizer.decay": Field(float, "of rmsprop's average of squared gradients (Keras: rho)", 0, lt=1),
    "optimizer.b1": Field(float, "decay of the first moment", 0, lt=1),
    "optimizer.b2": Field(float, "decay of the second moment", 0, lt=1),
    "optimizer.b3": Field(float, "of adan: of squared gradients; of ademamix: of the slow momentum", 0, lt=1),
    "optimizer.alpha": Field(float, "of ademamix: the weight of the slow momentum", 0),
    "optimizer.gamma": Field(float, "of sophia: multiplies the Hessian's diagonal", gt=0),
    "optimizer.rho": Field(float, "of sam: how far from the parameters the gradient is taken", 0),
    "optimizer.eps": Field(float, "added to the denominator", gt=0),
    "optimizer.clip_norm": Field(0.0, "clip the gradient to this global norm; 0: never", 0),
    "schedule.name": Field("constant", "shape of the learning rate over the run; see fmnist_jax.optim.schedules"),
    "schedule.warmup": Field("0 steps", "linear warm-up, as '500 steps', '2 epochs' or '10%' of the run"),
    "schedule.final_scale": Field(0.0, "where a decaying schedule ends, as a share of the peak", 0, 1),
    "schedule.cooldown": Field("20%", "of wsd: its decay at the end of the run, as a duration like the warm-up"),
    "schedule.milestones": Field(
        ("50%", "75%"), "of step: when the rate is multiplied by gamma", items=str, example="'3 epochs'"
    ),
    "schedule.gamma": Field(0.1, "of step: the factor at each milestone", gt=0, le=1),
    "schedule.weight_decay": Field(
        "constant", "a schedule for the weight decay; independent: of the peak learning rate (see docs/training.md)"
    ),
    "loss.name": Field("cross_entropy", "what is minimised; see fmnist_jax.train.losses"),
    "loss.label_smoothing": Field(0.0, "share of the targets spread evenly over all classes", 0, lt=1),
    "loss.gamma": Field(2.0, "of focal: how much less well classified examples count", 0),
    "eval.metrics": Field((), "beside loss and accuracy: top2, top5, nll, brier, ece or one's own", items=str),
    "eval.tta": Field("none", "average the predictions for views of each image: mirrored, also moved", choices=TTA),
    "augment.flip": Field("none", "mirror training images; alternating: each every other epoch", choices=FLIPS),
    "augment.translate": Field(0, "move each by up to so many pixels: a random crop of the padded image", 0),
    "augment.translate_padding": Field("zero", "what moves in: zeros, or the image reflected", choices=PADDINGS),
    "augment.cutout": Field(0, "blank a random square of this side, in pixels; 0: off", 0),
    "augment.erase": Field(0.0, "the probability of filling a random rectangle with noise", 0, 1),
    "augment.mixup": Field(0.0, "average two images, with a weight of Beta(mixup, mixup); 0: off", 0),
    "augment.cutmix": Field(0.0, "paste a rectangle of another image, of Beta(cutmix, cutmix) area; 0: off", 0),
    "augment.custom": Field((), "augmentations of your own, after the ones above but the mixing", items=str),
    "train.epochs": Field(10, "passes over the training images", 1, MAX_EPOCHS),
    "train.batch_size": Field(256, "images a step", 1),
    "train.devices": Field(0, "devices to spread each batch over; 0: on a CPU its cores, else one device", 0),
    "train.half_size_epochs": Field(0, "train the first so many epochs on images of half the size", 0),
    "train.ema_decay": Field(0.0, "evaluate an exponential moving average of the parameters; 0: off", 0, lt=1),
    "train.statistics_batches": Field(
        30, "training batches to estimate batch statistics from where averaged weights are evaluated", 1
    ),
    "train.patience": Field(0, "stop once the validation accuracy has not improved for so many epochs; 0: never", 0),
    "train.score_test": Field(False, "score the test set too, once, after the last epoch"),
    "train.eval_batch_size": Field(500, "images an evaluation step", 1),
    "checkpoint.every": Field(1, "epochs between checkpoints; the last epoch always has one", 1),
    "checkpoint.keep": Field(2, "how many of the newest to keep", 1),
}


class WrongScriptError(ConfigError):
    """A study's config was given to a script that takes a run's, or the other way round."""


@dataclasses.dataclass(frozen=True)
class Purpose:
    """What a config describes, the command that it is for, and the function that makes a default one."""

    name: str
    command: str
    factory: str


_RUN = Purpose("a run", "train", "fmnist_jax.default_config()")
_STUDY = Purpose("a study", "compare", "fmnist_jax.study_config()")


def default_config(schema: Schema = SCHEMA) -> ml_collections.ConfigDict:
    """Returns a locked config with every key at its default."""
    config = Config()
    _fill_in(config, schema)
    return lock(config)


def lock(config: ml_collections.ConfigDict) -> ml_collections.ConfigDict:
    """Locks every section of the config but those with keys of the user's own, and returns it."""
    config.lock()
    config.model.options.unlock()
    config.optimizer.options.unlock()
    return config


def _fill_in(config: ml_collections.ConfigDict, schema: Schema) -> None:
    """Adds the keys that the config lacks, at their defaults."""
    found = dict(flatten(config))
    for key, field in schema.items():
        if key not in found:
            section, _, leaf = key.rpartition(".")
            if section and section not in config:
                config[section] = Config()
            (config[section] if section else config)[leaf] = field.placeholder()
    for section in (config.model, config.optimizer):
        if "options" not in section:
            section.options = Config()


def settable(schema: Schema) -> list[str]:
    """Returns the keys that a user may set."""
    return [key for key, field in schema.items() if not field.forbidden_reason]


def validate(config: ml_collections.ConfigDict, schema: Schema = SCHEMA) -> None:
    """Raises `ConfigError` for the first key that is unknown, missing, of a wrong type or value."""
    found = dict(flatten(config))
    purpose = purpose_of(found)
    # Too few known keys: the config is corrupt, not meant for another script.
    if purpose is not purpose_of(schema) and SCHEMA.keys() <= found.keys():
        raise WrongScriptError(f"it is the config of {purpose.name}; run it with {command(purpose.command)}")
    for key in found:
        if key not in schema and not is_option(key, schema):
            raise unknown_key(key, schema)
    for key, field in schema.items():
        if key not in found:
            raise ConfigError(f"config.{key} is missing; start from {purpose_of(schema).factory}")
        if problem := field.problem(found[key]):
            raise ConfigError(f"config.{key} {problem}")


def unknown_key(key: str, schema: Schema, prefix: str = "config.", hint: str = "") -> ConfigError:
    """Returns the error for a key that is not in the schema: its new name if it was renamed, else the nearest key."""
    if key in RENAMED:
        return ConfigError(f"{prefix}{key} is now {prefix}{RENAMED[key]}")
    if key.startswith("optimizer.options."):  # of a run, or of a study, which has none
        arm = f"adam:{key.rpartition('.')[2]}=..."
        return ConfigError(
            f"{prefix}{key} cannot be set here: it is a setting of the arms in config.study.optimizers, e.g. {arm}"
        )
    return ConfigError(f"{prefix}{key} is not a config key{did_you_mean(key, settable(schema))}{hint}")


def is_option(key: str, schema: Schema = SCHEMA) -> bool:
    """Returns whether the key is an option of the network or, in a run, of the optimizer; a study has arms for that."""
    section = key.partition(".")[0]
    return key.startswith(tuple(f"{each}." for each in OPTIONS)) and (section == "model" or purpose_of(schema) is _RUN)


def purpose_of(keys: Iterable[str]) -> Purpose:
    """Returns what a schema, or a config with these keys, is for."""
    return _STUDY if any(key.startswith("study.") for key in keys) else _RUN


def flatten(config: ml_collections.ConfigDict) -> Iterator[tuple[str, Any]]:
    """Yields `("section.leaf", value)` for every leaf of the config, unset ones as `None`."""
    for name, value in config.items():
        if isinstance(value, ml_collections.ConfigDict):
            yield from ((f"{name}.{key}", leaf) for key, leaf in flatten(value))
        else:
            yield name, value


def from_dict(values: Mapping[str, Any], schema: Schema = SCHEMA) -> ml_collections.ConfigDict:
    """Returns the locked config whose `to_dict()` is `values`, also after JSON turned its tuples into lists.

    Keys that an earlier version did not have yet get their defaults, which keep its numbers as they were.

    **Raises:** `ConfigError` where `values` is no such config.
    """
    try:
        saved = ml_collections.ConfigDict(_with_tuples(values))
    except (AttributeError, KeyError, TypeError, ValueError) as error:  # such as a key `__class__`
        raise ConfigError(f"it has a key that no config has ({error})") from None
    found = {key for key in dict(flatten(saved)) if not is_option(key, schema)}
    # With fewer keys it is corrupt, not of an earlier version.
    if found <= schema.keys() and 2 * len(found) > len(schema) and purpose_of(found) is purpose_of(schema):
        _fill_in(saved, schema)
    validate(saved, schema)
    config = default_config(schema)
    config.update(saved.to_dict())  # plain values: one placeholder cannot take the value of another
    return config


def _with_tuples(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _with_tuples(item) for key, item in value.items()}
    return tuple(value) if isinstance(value, list) else value


def differences(a: ml_collections.ConfigDict, b: ml_collections.ConfigDict) -> list[str]:
    """Returns a line `config.key: x, not y` for each key whose value in `a`, x, is not the value in `b`, y."""
    left, right = dict(flatten(a)), dict(flatten(b))
    keys = sorted(left.keys() | right.keys())
    return [f"config.{k}: {left.get(k)!r}, not {right.get(k)!r}" for k in keys if left.get(k) != right.get(k)]


def describe(schema: Schema = SCHEMA) -> str:
    """Returns the keys of the config as text for `--help`: name, default, meaning."""
    return "\n".join(
        f"  --config.{key} (default {schema[key].describe_default()}): {schema[key].help}" for key in settable(schema)
    )
