"""What the user asks the benchmark for."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Collection, Mapping, Sequence

from fmnist_jax.benchmark import growth, numerics
from fmnist_jax.benchmark.architecture import PROBLEMS
from fmnist_jax.benchmark.contenders import CONTENDERS
from fmnist_jax.benchmark.measure import Effort
from fmnist_jax.errors import ConfigError, unknown_name

# Sizes of populations, where the user names none.
_MEMBERS, _MEMBERS_ON_ACCELERATOR = (1, 2, 4, 8), (1, 8, 64, 256)


@dataclasses.dataclass(frozen=True)
class Settings:
    """What to measure, and how much.

    **Attributes:**

    - `models`: names in `architecture.PROBLEMS`; `contenders`: in `contenders.CONTENDERS`.
    - `pythons`: framework -> the interpreter to run it with, where it is not this one.
    - `growth`: the axes along which to measure our growth too, of `growth.AXES`.
    - `numerics`: what else to measure of us, of `numerics.PARTS`.
    - `members`: for populations of so many; empty: what suits the device.
    """

    models: Sequence[str]
    contenders: Sequence[str]
    effort: Effort
    pythons: Mapping[str, str]
    growth: Sequence[str] = ()
    numerics: Sequence[str] = ()
    members: Sequence[str] = ()

    def check(self) -> None:
        """Raises `ConfigError` for a name that is unknown or an interpreter that is none."""
        for flag, given, known in (("models", self.models, PROBLEMS), ("contenders", self.contenders, CONTENDERS)):
            if not given:
                raise ConfigError(f"--{flag} must name one or more of {', '.join(known)}")
            _check_names(flag, given, known)
        _check_names("axes", self.growth, growth.AXES)
        _check_names("numerics", self.numerics, numerics.PARTS)
        for number in self.members:
            if not number.isdecimal() or int(number) < 1:
                raise ConfigError(f"--members must be numbers of members, as in 1,8,64, not {number!r}")
        for framework, python in self.pythons.items():
            if python and not os.access(python, os.X_OK):
                raise ConfigError(f"--{framework}_python={python} is no interpreter; give the path of one")

    def sizes(self, accelerator: bool) -> list[int]:
        """Returns how many members the populations are to have, on an accelerator or on a CPU."""
        return [int(number) for number in self.members] or list(_MEMBERS_ON_ACCELERATOR if accelerator else _MEMBERS)


def _check_names(flag: str, given: Sequence[str], known: Collection[str]) -> None:
    for name in given:
        if name not in known:
            raise unknown_name(f"--{flag}", name, known)
