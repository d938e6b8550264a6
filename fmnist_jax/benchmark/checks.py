"""Checks of the flags of benchmarks that take lists."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from fmnist_jax.errors import ConfigError, unknown_name


def check_names(flag: str, given: Sequence[str], known: Collection[str], required: bool = False) -> None:
    """Raises `ConfigError` where a flag names what is not known, or nothing although it has to."""
    if required and not given:
        raise ConfigError(f"--{flag} must name one or more of {', '.join(known)}")
    for name in given:
        if name not in known:
            raise unknown_name(f"--{flag}", name, known)


def check_sizes(flag: str, meaning: str, given: Sequence[str]) -> None:
    """Raises `ConfigError` where an item of a flag is no whole number above 0; `meaning`: what the flag takes."""
    for size in given:
        if not size.isdecimal() or int(size) < 1:
            raise ConfigError(f"--{flag} must be {meaning}, not {size!r}")
