"""What the registry holds: optimizers, and hyperparameters with their search spaces."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any, Literal

import optax

from fmnist_jax.config.field import Field

# Each scale is defined for values strictly between these.
_SCALE_DOMAINS = {"log": (0.0, math.inf), "log1m": (-math.inf, 1.0), "linear": (-math.inf, math.inf)}


@dataclasses.dataclass(frozen=True)
class Hyperparameter:
    """A number that an optimizer takes.

    **Attributes:**

    - `default`: the published or customary value.
    - `low`, `high`: its search space; equal where it is not searched.
    - `scale`: how the space is sampled: `"log"` of the value, `"log1m"`: log of one minus the value, or `"linear"`.
    - `ge`, `le`: inclusive bounds of the values that the optimizer works with; `gt`, `lt`: exclusive bounds.

    **Raises:** `ValueError` where the space is empty, its scale has no such values, or a value is out of bounds.
    """

    default: float
    low: float
    high: float
    scale: Literal["log", "log1m", "linear"] = "log"
    ge: float | None = None
    le: float | None = None
    gt: float | None = None
    lt: float | None = None

    def __post_init__(self) -> None:
        above, below = _SCALE_DOMAINS.get(self.scale, (math.nan, math.nan))
        if not above < self.low <= self.high < below:
            raise ValueError(f"no search space: from {self.low:g} to {self.high:g} on the scale {self.scale!r}")
        for name in ("default", "low", "high"):
            if problem := self.problem(getattr(self, name)):
                raise ValueError(f"{name} {problem}")

    def problem(self, value: float) -> str | None:
        """Returns what is wrong with `value` and what is allowed; `None` where nothing is wrong."""
        return Field(float, "", self.ge, self.le, self.gt, self.lt).problem(value)


@dataclasses.dataclass(frozen=True)
class Optimizer:
    """An entry of the registry.

    **Attributes:**

    - `make`: `make(rate, weight_decay, **hyperparameters)` returns the transformation from gradients to updates. `rate`
      is the learning rate as a function of the step; `weight_decay` is a transformation too, to be applied to the
      direction before it is scaled by the rate. It gets `learning_rate`, the peak, and `num_classes` if it names them;
      also `clip_norm`, to which the gradients are otherwise clipped before it, or `None`.
    - `hyperparameters`: those it takes, `learning_rate` first.
    - `summary`: its update rule or source.
    - `eval_params`: the parameters to evaluate, from the optimizer's state and the trained ones.

    **Raises:** `ValueError` where it takes no `learning_rate`.
    """

    make: Callable[..., optax.GradientTransformation]
    hyperparameters: Mapping[str, Hyperparameter]
    summary: str
    eval_params: Callable[[Any, Any], Any] = lambda state, params: params

    def __post_init__(self) -> None:
        if "learning_rate" not in self.hyperparameters:
            raise ValueError("an optimizer needs a hyperparameter learning_rate")
