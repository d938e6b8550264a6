"""What the environment asks or leaves that training cannot do with: missing devices, debug modes, few open files."""

from __future__ import annotations

import math
import resource
import sys
from typing import Any

import jax

from fmnist_jax.errors import RAISE_OPEN_FILES, ConfigError

# Debug modes of JAX, the option's name and the value under which it changes nothing.
_DEBUG_MODES = {
    "jax_numpy_rank_promotion": "allow",
    "jax_numpy_dtype_promotion": "standard",
    "jax_transfer_guard": None,
    "jax_disable_jit": False,
}
# Writing a checkpoint takes about 20; where it lacks one, threads that only end with the process may wait forever.
_MIN_OPEN_FILES, _OPEN_FILES = 64, 1024


def check() -> None:
    """Raises `ConfigError` where JAX has no device of `JAX_PLATFORMS`, or this process can open too few files.

    Warns of debug modes and switches them off.
    """
    _check_open_files()
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


def _check_open_files() -> None:
    """Raises a limit of open files that is too low as far as the system lets it."""
    limit, highest = resource.getrlimit(resource.RLIMIT_NOFILE)
    if _bounded(limit) >= _MIN_OPEN_FILES:
        return
    if _bounded(highest) < _MIN_OPEN_FILES:
        problem = f"this process may open {highest} files at once, and needs {_MIN_OPEN_FILES}"
        raise ConfigError(f"{problem}; {RAISE_OPEN_FILES}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (int(min(_bounded(highest), _OPEN_FILES)), highest))


def _bounded(limit: int) -> float:
    return math.inf if limit == resource.RLIM_INFINITY else limit
