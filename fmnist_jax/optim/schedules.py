"""Learning-rate schedules by name, as a factor in [0, 1] of the peak rate; all of them work on traced steps."""

from __future__ import annotations

import re
from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

from fmnist_jax.errors import ConfigError, unknown_name

_ONE_CYCLE_WARMUP = 0.3
_DURATION = re.compile(r"(?P<number>\d+(\.\d+)?) ?(?P<unit>steps?|epochs?|%)")


def _cosine(progress: jax.Array) -> jax.Array:
    """Half a cosine (Loshchilov & Hutter 2017, SGDR, eq. 5, without restarts)."""
    return 0.5 * (1.0 + jnp.cos(jnp.pi * progress))


# Each maps the progress of the decay, 0 to 1, to a factor that falls from 1 to 0 (or stays 1).
# "one-cycle" (Smith & Topin 2017) is a long linear warm-up, then a cosine decay.
_DECAYS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "constant": jnp.ones_like,
    "linear": lambda progress: 1.0 - progress,
    "cosine": _cosine,
    "one-cycle": _cosine,
}


def names() -> tuple[str, ...]:
    """Returns the names of the schedules."""
    return tuple(_DECAYS)


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


def make(name: str, *, warmup: str, final_scale: float, total_steps: int, steps_per_epoch: int) -> optax.Schedule:
    """Returns the schedule, from the 0-based step to a factor, float32.

    Over a warm-up of `w` steps the factor rises linearly, `(step + 1) / w`; then it falls from 1 to
    `final_scale` (ignored by a constant schedule). "one-cycle" warms up over 30 % of the run unless `warmup` is set.

    **Raises:** `ConfigError` for an unknown name or a bad duration, naming the key.
    """
    if name not in _DECAYS:
        raise unknown_name("config.schedule.name", name, _DECAYS)
    try:
        warmup_steps = steps_of(warmup, total_steps, steps_per_epoch)
    except ConfigError as error:
        raise ConfigError(f"config.schedule.warmup: {error}") from None
    if name == "one-cycle" and warmup_steps == 0:
        warmup_steps = round(_ONE_CYCLE_WARMUP * total_steps)
    decay = _DECAYS[name]

    def schedule(step: jax.Array) -> jax.Array:
        rising = (step + 1) / max(warmup_steps, 1)
        progress = (step - warmup_steps) / max(total_steps - warmup_steps, 1)
        falling = final_scale + (1 - final_scale) * decay(jnp.clip(progress, 0.0, 1.0))
        return jnp.where(step < warmup_steps, rising, falling).astype(jnp.float32)

    return schedule
