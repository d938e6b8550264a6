"""The arms of a study: optimizers, with settings to keep fixed where given, as in `adam:learning_rate=3e-4,b1=0.8`."""

from __future__ import annotations

import dataclasses
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
    for i, arm in enumerate(arms):
        for other in arms[:i]:
            if _is_the_same(arm, other, tuned=tuned):
                raise ConfigError(f"{_KEY}: {other.name!r} and {arm.name!r} are the same setting; leave one out")
    return arms


def _is_the_same(arm: Arm, other: Arm, *, tuned: bool) -> bool:
    if arm.optimizer != other.optimizer or arm.defaults() != other.defaults():
        return False
    # Tuned, an arm that fixes a default differs from one that searches it.
    return not tuned or arm.fixed == other.fixed


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
    return key, _number(arm, key, text)


def _number(arm: Arm, key: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise ConfigError(f"{_KEY}: {key} of arm {arm.name!r} must be a number, not {text!r}") from None
    field = config_schema.SCHEMA.get(f"optimizer.{key}")
    problem = field.problem(value) if field else None
    if problem := problem or optim.hyperparameters_of(arm.optimizer)[key].problem(value):
        raise ConfigError(f"{_KEY}: {key} of arm {arm.name!r} {problem}")
    return value
