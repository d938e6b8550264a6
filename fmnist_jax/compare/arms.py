"""The arms of a study: optimizers, with settings to keep fixed where given, as in `adam:learning_rate=3e-4,b1=0.8`."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence

from fmnist_jax import optim
from fmnist_jax.config import schema as config_schema
from fmnist_jax.errors import ConfigError, did_you_mean
from fmnist_jax.optim import Hyperparameter

_KEY = "config.study.optimizers"


@dataclasses.dataclass(frozen=True)
class Arm:
    """An optimizer under comparison.

    **Attributes:**

    - `name`: as written in the config.
    - `optimizer`: its name in the registry.
    - `fixed`: the settings given in the name, which are not tuned.
    """

    name: str
    optimizer: str
    fixed: Mapping[str, float]

    def defaults(self) -> dict[str, float]:
        """Returns the hyperparameters: the fixed ones, and the optimizer's defaults for the others."""
        return optim.resolve(self.optimizer, self.fixed)

    def space(self) -> dict[str, Hyperparameter]:
        """Returns the search space: the optimizer's hyperparameters that are not fixed and have a range."""
        table = optim.get(self.optimizer).hyperparameters
        return {key: entry for key, entry in table.items() if key not in self.fixed and entry.low < entry.high}


def parse_arms(names: Sequence[str], *, tuned: bool) -> list[Arm]:
    """Returns the arms that `names`, from `config.study.optimizers`, describe.

    **Raises:** `ConfigError`, naming the arm and what is allowed, for an unknown optimizer, a setting that it does not
    take or that is not a number in its range, and for two arms with the same runs.
    """
    arms = [_parse(name) for name in names]
    for arm, other in itertools.combinations(arms, 2):
        same = arm.optimizer == other.optimizer and arm.defaults() == other.defaults()
        # Tuned, an arm that fixes a default differs from one that searches it.
        if same and (not tuned or arm.fixed == other.fixed):
            raise ConfigError(f"{_KEY}: {arm.name!r} and {other.name!r} are the same setting; leave one out")
    return arms


def _parse(name: str) -> Arm:
    optimizer, colon, settings = (part.strip() for part in name.partition(":"))
    optim.get(optimizer, f"{_KEY}: the optimizer of arm {name!r}")
    arm = Arm(name, optimizer, {})
    if not colon:
        return arm
    fixed: dict[str, float] = {}
    for setting in settings.split(","):
        key, value = _setting(arm, setting)
        if key in fixed:
            raise ConfigError(f"{_KEY}: arm {name!r} has {key} twice")
        fixed[key] = value
    return dataclasses.replace(arm, fixed=fixed)


def _setting(arm: Arm, setting: str) -> tuple[str, float]:
    key, equals, text = (part.strip() for part in setting.partition("="))
    if not equals:
        raise ConfigError(
            f"{_KEY}: arm {arm.name!r} has {setting!r} where key=value is wanted, e.g. learning_rate=3e-4"
        )
    known = optim.hyperparameters_of(arm.optimizer)
    if key not in known:
        raise ConfigError(
            f"{_KEY}: arm {arm.name!r} sets {key!r}, but {arm.optimizer} does not take it; "
            f"it takes {', '.join(known)}{did_you_mean(key, known)}"
        )
    try:
        value = float(text)
    except ValueError:
        raise ConfigError(f"{_KEY}: {key} of arm {arm.name!r} must be a number, not {text!r}") from None
    field = config_schema.SCHEMA.get(f"optimizer.{key}")
    problem = field.problem(value) if field else None
    if problem := problem or optim.hyperparameters_of(arm.optimizer)[key].problem(value):
        raise ConfigError(f"{_KEY}: {key} of arm {arm.name!r} {problem}")
    return key, value
