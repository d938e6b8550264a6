"""What the environment asks of JAX and cannot have: devices that are not there, modes that training cannot run in."""

from __future__ import annotations

import sys
from typing import Any

import jax

from fmnist_jax.errors import ConfigError

# Debug modes of JAX, the option's name and the value under which it changes nothing.
_DEBUG_MODES = {
    "jax_numpy_rank_promotion": "allow",
    "jax_numpy_dtype_promotion": "standard",
    "jax_transfer_guard": None,
    "jax_disable_jit": False,
}


def check() -> None:
    """Raises `ConfigError` where JAX has no device of `JAX_PLATFORMS`; warns of debug modes and switches them off."""
    config: Any = jax.config
    platforms = config.jax_platforms
    if platforms and platforms != "cpu":  # the CPU is always there: no need to start JAX now
        try:
            jax.devices()
        except (RuntimeError, AssertionError):
            raise ConfigError(
                f"JAX finds no device for JAX_PLATFORMS={platforms}; unset it to use what there is, or install JAX's "
                "plugin for that device"
            ) from None
    for option, neutral in _DEBUG_MODES.items():
        value = getattr(config, option)
        if value not in (neutral, "allow"):
            problem = "is ignored: Flax and compiled training need it off"
            print(f"warning: {option.upper()}={value} {problem}", file=sys.stderr)
            config.update(option, neutral)
