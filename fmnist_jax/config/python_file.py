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
from fmnist_jax.config.schema import RENAMED, SCHEMA, Schema
from fmnist_jax.config.shipped import shipped
from fmnist_jax.errors import ConfigError, did_you_mean

_LISTED = 20  # config files named in an error
_SHOWN = 160  # characters of a message from the file's code


def read_config_file(path: Path, schema: Schema = SCHEMA) -> ConfigDict:
    """Runs the config file at `path` and returns its config, locked and valid.

    **Raises:** `ConfigError` naming the file, and the line where its code fails, where there is no such file or it
    gives no valid config.
    """
    with _as_config_error(path):
        defined = runpy.run_path(str(path))
        if "get_config" not in defined:
            raise ConfigError("it defines no get_config()")
        config = defined["get_config"]()
        if not isinstance(config, ConfigDict):
            raise ConfigError(
                f"its get_config() returns {type(config).__name__}, not a config; start from "
                f"{config_schema.purpose_of(schema).factory} and return that"
            )
        config_schema.validate(config, schema)
        return config_schema.lock(config)


def run_registrations(path: Path) -> None:
    """Runs the config file at `path` for what it registers; raises `ConfigError` as `read_config_file` does."""
    with _as_config_error(path):
        defined = runpy.run_path(str(path))
        if "get_config" in defined:
            defined["get_config"]()  # it may register something, too


def read_constant(path: Path, name: str) -> Any:
    """Runs the config file at `path`; returns what it defines as `name`, `None` where it defines nothing so named.

    **Raises:** `ConfigError` as `read_config_file` does.
    """
    with _as_config_error(path):
        return runpy.run_path(str(path)).get(name)


@contextlib.contextmanager
def _as_config_error(path: Path) -> Iterator[None]:
    """Turns a missing file, or whatever the file's code raises, into a `ConfigError` that says where."""
    if not path.is_file():
        problem = "is not a file" if path.exists() else "does not exist"
        raise ConfigError(f"{path} {problem}{_alternatives(path)}")
    try:
        yield
    except ConfigError as error:
        raise ConfigError(f"{_place(path, error)}: {error}") from None
    except (Exception, SystemExit) as error:
        raise ConfigError(f"{_place(path, error)}: {_shorten(error)}") from None


def _place(path: Path, error: BaseException) -> str:
    if isinstance(error, SyntaxError) and error.lineno:
        return f"{error.filename or path}, line {error.lineno}"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return f"{path}, line {lines[-1]}" if lines else str(path)


def _shorten(error: BaseException) -> str:
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    for old, new in RENAMED.items():
        if f'Key "{old.rpartition(".")[2]}" does not exist' in text:
            return f"config.{old} is now config.{new}"
    # ml_collections's message about an unknown key has the whole config in its middle.
    text = re.sub(r"Other fields present.*(?=Did you mean)|Other fields present.*", "", text, flags=re.DOTALL)
    shown = textwrap.shorten(text, _SHOWN, placeholder=" ...")
    return f"{type(error).__name__}: {shown}" if shown else type(error).__name__


def _alternatives(path: Path) -> str:
    """Names the config files in the folder of the missing one; where a relative path has none, those of the package."""
    folder = path if path.is_dir() else path.parent
    files = [] if folder == Path() else sorted(folder.glob("*.py"))
    if files:
        known, nearest = list(map(str, files)), did_you_mean(path.stem, [file.stem for file in files])
    elif not path.is_absolute():
        known = list(shipped())
        nearest = did_you_mean(path.with_suffix("").as_posix().removeprefix("configs/"), known)
    else:
        return ""
    return f"; there are {', '.join(known[:_LISTED] + ['...'] * (len(known) > _LISTED))}{nearest}"
