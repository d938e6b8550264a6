"""The description of a config key: its default, its meaning and the values that it takes."""

from __future__ import annotations

import dataclasses
import math
import operator
from typing import Any

from ml_collections import config_dict

from fmnist_jax.errors import TYPE_NAMES, did_you_mean

_PLURALS = {str: "strings", int: "integers", float: "numbers"}


@dataclasses.dataclass(frozen=True)
class Field:
    """One key of a config.

    **Attributes:**

    - `default`: its default; a type means that the key is unset by default and takes values of that type.
    - `help`: its meaning, in one line.
    - `ge`, `le`: inclusive bounds of a number; `gt`, `lt`: exclusive bounds.
    - `choices`: the allowed strings.
    - `items`: where the default is a tuple, the type of its items; bounds and choices then apply to each item, and
      items must differ. `min_items`: the minimal number of items.
    - `example`: of a value, for errors about its type.
    - `forbidden_reason`: why the key may not be set, and what to set instead; the key then stays unset.
    """

    default: Any
    help: str
    ge: float | None = None
    le: float | None = None
    gt: float | None = None
    lt: float | None = None
    choices: tuple[str, ...] = ()
    items: type | None = None
    min_items: int = 0
    example: str = ""
    forbidden_reason: str = ""

    @property
    def type(self) -> type:
        return self.default if isinstance(self.default, type) else type(self.default)

    def placeholder(self) -> Any:
        """The value in a fresh config: the default, or an unset value of the right type."""
        return config_dict.placeholder(self.type) if isinstance(self.default, type) else self.default

    def problem(self, value: Any) -> str | None:
        """What is wrong with `value`, and what is allowed; `None` where the value is valid."""
        if value is None:
            return None if isinstance(self.default, type) else f"must be {self._expected()}, not unset"
        if self.forbidden_reason:
            return f"cannot be set here: {self.forbidden_reason}"
        return self._problem_of_one(value, self.type) if self.items is None else self._problem_of_items(value)

    def describe_default(self) -> str:
        """The default as a user would type it."""
        if isinstance(self.default, type):
            return "unset"
        return ",".join(map(str, self.default)) or "none" if self.items is not None else repr(self.default)

    def _expected(self) -> str:
        if self.items is None:
            return TYPE_NAMES[self.type]
        return f"{self.min_items} or more {_PLURALS[self.items]}" if self.min_items else _PLURALS[self.items]

    def _problem_of_items(self, values: Any) -> str | None:
        if not isinstance(values, tuple) or len(values) < self.min_items:
            return f"must be {self._expected()}, not {values!r}"
        for i, value in enumerate(values):
            if problem := self._problem_of_one(value, self.items):
                return f"holds {value!r}; each {problem}"
            if value in values[:i]:
                return f"holds {value!r} twice"
        return None

    def _problem_of_one(self, value: Any, kind: Any) -> str | None:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not (is_number if kind is float else type(value) is kind):
            example = f", e.g. {self.example}" if self.example else ""
            return f"must be {TYPE_NAMES[kind]}{example}, not {value!r}"
        if self.choices and value not in self.choices:
            return f"must be one of {', '.join(self.choices)}, not {value!r}{did_you_mean(value, self.choices)}"
        return self._range_problem(value) if is_number else None

    def _range_problem(self, value: float) -> str | None:
        if not math.isfinite(value):
            return f"must be a finite number, not {value!r}"
        bounds = (
            (self.gt, operator.gt, "above"),
            (self.ge, operator.ge, "at least"),
            (self.lt, operator.lt, "below"),
            (self.le, operator.le, "at most"),
        )
        for bound, holds, words in bounds:
            if bound is not None and not holds(value, bound):
                return f"must be {words} {bound if isinstance(bound, int) else format(bound, 'g')}, not {value!r}"
        return None


def split_items(text: str) -> list[str]:
    """Returns the items of a tuple typed as `a,b` or `(a, b)`.

    A `key=value` after a comma belongs to the item before it: `adam:b1=0.8,b2=0.9,sgd` are two items.
    """
    items: list[str] = []
    for part in text.strip().strip("()[]").split(","):
        part = part.strip().strip("'\"")
        if items and "=" in part and ":" not in part:
            items[-1] += f",{part}"
        elif part:
            items.append(part)
    return items
