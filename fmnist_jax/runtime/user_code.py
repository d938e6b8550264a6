"""Errors of the functions that a user registers: one line that names the function."""

from __future__ import annotations

import contextlib
import textwrap
from collections.abc import Callable, Iterator
from typing import Any

import jax

from fmnist_jax.errors import ConfigError, UserError

_SHOWN = 160  # characters of a message from the user's code


@contextlib.contextmanager
def user_code(what: str) -> Iterator[None]:
    """Turns an exception of a user's function, such as `"schedule 'mine'"`, into a `ConfigError` that names it."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        lines = str(error).splitlines() or [""]
        shown = textwrap.shorten(f"{type(error).__name__}: {lines[0]}", _SHOWN, placeholder=" ...")
        raise ConfigError(f"{what} fails: {shown}") from error


def output(what: str, function: Callable[..., Any], *arguments: jax.ShapeDtypeStruct) -> jax.ShapeDtypeStruct:
    """Returns the shape and dtype of the array that a user's function returns; computes nothing.

    **Raises:** `ConfigError` where it fails, or returns anything but one array.
    """
    with user_code(what):
        found = jax.eval_shape(function, *arguments)
    if not isinstance(found, jax.ShapeDtypeStruct):
        raise ConfigError(f"{what} must return one array, not {type(found).__name__}")
    return found
