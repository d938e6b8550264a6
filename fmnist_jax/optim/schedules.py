"""Learning-rate schedules by name, as a factor of the peak rate; all of them work on traced steps."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
import optax
from ml_collections import ConfigDict

from fmnist_jax.config.registry import Registry
from fmnist_jax.errors import ConfigError, unknown_name
from fmnist_jax.runtime.user_code import user_code

CONSTANT, INDEPENDENT = "constant", "independent"
_ONE_CYCLE_WARMUP = 0.3
_DURATION = re.compile(r"(?P<number>\d+(\.\d+)?) ?(?P<unit>steps?|epochs?|%)")


class ScheduleSettings(NamedTuple):
    """What a schedule is made for, in steps.

    **Attributes:**

    - `steps`: the run without its warm-up, at least 1; `warmup_steps`: the warm-up.
    - `steps_per_epoch`.
    - `cooldown_steps`, `milestones`, `gamma`: the config keys `schedule.cooldown`, `schedule.milestones`, counted from
      the end of the warm-up, and `schedule.gamma`.
    """

    steps: int
    warmup_steps: int
    steps_per_epoch: int
    cooldown_steps: int
    milestones: Sequence[int]
    gamma: float


class Schedules(NamedTuple):
    """The schedules of a run, from the 0-based step to a factor, float32.

    **Attributes:**

    - `rate`: of the learning rate.
    - `weight_decay`: of the weight decay, which is multiplied by the learning rate too; or `"constant"`; or
      `"independent"`: multiplied by `rate` but not by the peak learning rate.
    """

    rate: optax.Schedule
    weight_decay: optax.Schedule | str = CONSTANT


ScheduleFactory: TypeAlias = Callable[[ScheduleSettings], Callable[[jax.Array], jax.Array]]

SCHEDULES: Registry[ScheduleFactory] = Registry("a schedule", "config.schedule.name")
names = SCHEDULES.names


def register(name: str, factory: ScheduleFactory) -> None:
    """Registers a schedule.

    **Arguments:**

    - `factory`: returns, for the `ScheduleSettings` of a run, a function like one of optax's schedules: from the
      traced step, 0 at the end of the warm-up, to a factor of the peak rate.

    **Raises:** `ValueError` for a built-in schedule's name.
    """
    SCHEDULES.register(name, factory)


def _cosine(settings: ScheduleSettings) -> optax.Schedule:
    """Half a cosine (Loshchilov & Hutter 2017, SGDR, eq. 5, without restarts)."""
    return lambda step: 0.5 * (1.0 + jnp.cos(jnp.pi * _progress(step, settings.steps)))


def _warmup_stable_decay(settings: ScheduleSettings) -> optax.Schedule:
    """Constant, then a cooldown (Hu et al. 2024, MiniCPM) by 1 - sqrt of its progress (Hägele et al. 2024, sec. 3)."""
    stable = settings.steps - settings.cooldown_steps
    if stable < 0:
        raise ConfigError("config.schedule.cooldown and config.schedule.warmup together are longer than the run")
    return lambda step: 1.0 - jnp.sqrt(_progress(step - stable, settings.cooldown_steps))


def _step(settings: ScheduleSettings) -> optax.Schedule:
    """Multiplied by gamma at each milestone, as PyTorch's `MultiStepLR`."""
    milestones = jnp.asarray(settings.milestones)
    return lambda step: settings.gamma ** jnp.sum(step >= milestones)


def _inverse_sqrt(settings: ScheduleSettings) -> optax.Schedule:
    """The root of warmup / step (Vaswani et al. 2017, eq. 3; counted as Raffel et al. 2020, sec. 3.1.2)."""
    warmup = max(settings.warmup_steps, 1)
    return lambda step: jnp.sqrt(warmup / (warmup + step))


def _progress(step: jax.typing.ArrayLike, steps: int) -> jax.Array:
    return jnp.clip(jnp.asarray(step) / max(steps, 1), 0.0, 1.0)


_BUILT_IN: dict[str, ScheduleFactory] = {
    "constant": lambda settings: lambda step: jnp.float32(1.0),
    "linear": lambda settings: lambda step: 1.0 - _progress(step, settings.steps),
    "cosine": _cosine,
    "one-cycle": _cosine,  # after a long linear warm-up (Smith & Topin 2017)
    "wsd": _warmup_stable_decay,
    "step": _step,
    "inverse-sqrt": _inverse_sqrt,
}

for _name, _factory in _BUILT_IN.items():
    SCHEDULES.register(_name, _factory)
SCHEDULES.protect()


def steps_of(duration: str, total_steps: int, steps_per_epoch: int) -> int:
    """Returns `duration`, such as `"500 steps"`, `"2 epochs"` or `"10%"` of the run, in steps, rounded.

    **Raises:** `ConfigError` where it cannot be parsed, or is longer than the run.
    """
    match = _DURATION.fullmatch(duration.strip())
    if not match:
        raise ConfigError(f"a duration must be like '500 steps', '2 epochs' or '10%', not {duration!r}")
    unit = {"s": 1.0, "e": steps_per_epoch, "%": total_steps / 100}[match["unit"][0]]
    steps = round(float(match["number"]) * unit)
    if steps > total_steps:
        raise ConfigError(f"the duration {duration!r} is {steps} steps, longer than the run of {total_steps}")
    return steps


def of(section: ConfigDict, total_steps: int, steps_per_epoch: int) -> Schedules:
    """Returns the schedules that `config.schedule` describes; raises `ConfigError` as `make` does."""
    shape = {key: value for key, value in section.items() if key not in ("name", "weight_decay")}
    shape |= {"total_steps": total_steps, "steps_per_epoch": steps_per_epoch}
    rate, decay = make(section.name, **shape), section.weight_decay
    if decay in (CONSTANT, INDEPENDENT):
        return Schedules(rate, decay)
    if decay not in names():
        raise unknown_name("config.schedule.weight_decay", decay, (INDEPENDENT, *names()))
    return Schedules(rate, make(decay, **shape | {"warmup": "0 steps"}))


def make(
    name: str,
    *,
    warmup: str,
    final_scale: float,
    cooldown: str,
    milestones: Sequence[str],
    gamma: float,
    total_steps: int,
    steps_per_epoch: int,
) -> optax.Schedule:
    """Returns the schedule, from the 0-based step to a factor, float32.

    Over a warm-up of `w` steps the factor rises linearly, `(step + 1) / w`; then it is that of the registered schedule,
    mapped from [0, 1] to [`final_scale`, 1]. "one-cycle" warms up over 30 % of the run unless `warmup` is set.

    **Raises:** `ConfigError` for an unknown name, a bad duration, naming the key, or a user's schedule that fails or
    returns anything but a finite number of at least 0 for each step.
    """

    def steps(key: str, duration: str) -> int:
        try:
            return steps_of(duration, total_steps, steps_per_epoch)
        except ConfigError as error:
            raise ConfigError(f"config.schedule.{key}: {error}") from None

    factory, warmup_steps = SCHEDULES.get(name), steps("warmup", warmup)
    if name == "one-cycle" and warmup_steps == 0:
        warmup_steps = round(_ONE_CYCLE_WARMUP * total_steps)
    settings = ScheduleSettings(
        max(total_steps - warmup_steps, 1),
        warmup_steps,
        steps_per_epoch,
        steps("cooldown", cooldown),
        [steps("milestones", each) - warmup_steps for each in milestones],
        gamma,
    )
    shape = factory(settings) if SCHEDULES.is_built_in(name) else _checked(name, factory, settings)

    def schedule(step: jax.Array) -> jax.Array:
        rising = (step + 1) / max(warmup_steps, 1)
        falling = final_scale + (1 - final_scale) * shape(jnp.maximum(step - warmup_steps, 0))
        return jnp.where(step < warmup_steps, rising, falling).astype(jnp.float32)

    return schedule


def _checked(name: str, factory: ScheduleFactory, settings: ScheduleSettings) -> Callable[[jax.Array], jax.Array]:
    """Returns what a user's factory makes; raises `ConfigError` where it is no function from a step to a factor."""
    with user_code(f"schedule {name!r}"):
        shape = factory(settings)
        factors = np.asarray(jax.vmap(lambda step: jnp.asarray(shape(step)))(jnp.arange(settings.steps)))
    if factors.shape != (settings.steps,):
        raise ConfigError(f"schedule {name!r} must return a number for a step, not an array {list(factors.shape[1:])}")
    wrong = np.flatnonzero(~(np.isfinite(factors) & (factors >= 0)))
    if wrong.size:
        raise ConfigError(
            f"schedule {name!r} must return finite numbers of at least 0, not {factors[wrong[0]]} for step {wrong[0]} "
            f"of {settings.steps} after the warm-up"
        )
    return shape
