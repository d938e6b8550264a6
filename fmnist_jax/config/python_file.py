"""Reads config files: Python files whose `get_config()` returns the config."""

from __future__ import annotations

import contextlib
import re
import runpy
import textwrap
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from fmnist_jax.config import schema as config_schema
from fmnist_jax.config.schema import SCHEMA, Schema
from fmnist_jax.errors import ConfigError, did_you_mean

_LISTED = 20  # config files named in an error
_BRIEF = 160  # characters shown of a message from the file's code


def read_config_file(path: Path, schema: Schema = SCHEMA) -> ConfigDict:
    """Runs the config file at `path` and returns its config, locked and valid.

    **Raises:** `ConfigError` naming the file, and the line where its code fails, where there is no such file or it
    gives no valid config.
    """
    if not path.is_file():
        raise ConfigError(f"{path} {'is no file' if path.exists() else 'does not exist'}{_others(path)}")
    with _errors_of(path):
        return _checked(_run(path), schema).lock()


def _run(path: Path) -> Any:
    defined = runpy.run_path(str(path))
    if "get_config" not in defined:
        raise ConfigError("it defines no get_config()")
    return defined["get_config"]()


def _checked(found: Any, schema: Schema) -> ConfigDict:
    if not isinstance(found, ConfigDict):
        raise ConfigError(
            f"its get_config() returns {type(found).__name__}, no config; start from "
            f"{config_schema.kind_of(schema).start} and return that"
        )
    config_schema.validate(found, schema)
    return found


@contextlib.contextmanager
def _errors_of(path: Path) -> Iterator[None]:
    """Turns whatever the file's code raises into a `ConfigError` that says where."""
    try:
        yield
    except ConfigError as error:
        raise ConfigError(f"{_place(path, error)}: {error}") from None
    except (Exception, SystemExit) as error:
        raise ConfigError(f"{_place(path, error)}: {_brief(error)}") from None


def _place(path: Path, error: BaseException) -> str:
    if isinstance(error, SyntaxError) and error.lineno:
        return f"{error.filename or path}, line {error.lineno}"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return f"{path}, line {lines[-1]}" if lines else str(path)


def _brief(error: BaseException) -> str:
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    # What ml_collections says of an unknown key has the whole config in its middle.
    text = re.sub(r"Other fields present.*(?=Did you mean)|Other fields present.*", "", text, flags=re.DOTALL)
    shown = textwrap.shorten(text, _BRIEF, placeholder=" ...")
    return f"{type(error).__name__}: {shown}" if shown else type(error).__name__


def _others(path: Path) -> str:
    """Names the config files that there are beside the missing one, or, where none was named so, in `configs`."""
    folder = path if path.is_dir() else path.parent
    there = sorted((Path("configs") if folder == Path() else folder).glob("*.py"))
    if not there:
        return ""
    shown = ", ".join([*map(str, there[:_LISTED])] + ["..."] * (len(there) > _LISTED))
    return f"; there are {shown}{did_you_mean(path.stem, [file.stem for file in there])}"
