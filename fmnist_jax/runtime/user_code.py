"""Errors of the functions that a user registers: one line that names the function, and where it fails."""

from __future__ import annotations

import contextlib
import textwrap
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax

from fmnist_jax.errors import ConfigError, UserError

_SHOWN = 160  # characters of a message from the user's code


@contextlib.contextmanager
def user_code(what: str, problem: str = "fails") -> Iterator[None]:
    """Turns an exception of a user's code into a `ConfigError`: `"loss 'mine' fails: TypeError: ... (a.py, line 3)"`.

    **Arguments:**

    - `what`: whose code runs, such as `"loss 'mine'"`; `problem`: what it means that it raises.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        lines = str(error).strip().splitlines() or [""]
        shown = textwrap.shorten(f"{type(error).__name__}: {lines[0]}", _SHOWN, placeholder=" ...")
        raise ConfigError(f"{what} {problem}: {shown}{_place(error)}") from error


def _place(error: Exception) -> str:
    """Returns the innermost line outside of installed packages and this one, in brackets."""
    package = str(Path(__file__).parents[1])
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if "site-packages" not in frame.filename and not frame.filename.startswith((package, "<"))
    ]
    return f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""


def output(what: str, function: Callable[..., Any], *arguments: jax.ShapeDtypeStruct) -> jax.ShapeDtypeStruct:
    """Returns the shape and dtype of the array that a user's function returns; computes nothing.

    **Raises:** `ConfigError` where it fails, or returns anything but one array.
    """
    with user_code(what):
        found = jax.eval_shape(function, *arguments)
    if not isinstance(found, jax.ShapeDtypeStruct):
        raise ConfigError(f"{what} must return one array, not {type(found).__name__}")
    return found
