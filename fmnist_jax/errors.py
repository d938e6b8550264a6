"""The errors a user can cause. The command line turns each into one line on stderr and exit code 2."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

# How messages call the types of values.
TYPE_NAMES = {bool: "true or false", int: "an integer", float: "a number", str: "a string"}


class UserError(Exception):
    """Something the user gave is wrong; the message names the culprit and the way out, in one line."""


class ConfigError(UserError):
    """A flag or a config key has an unknown name, a wrong type or a value that is not allowed."""


class DataError(UserError):
    """A data set is missing, damaged, of the wrong shape, or cannot be fetched."""


class ImageError(UserError):
    """An image given for prediction cannot be read."""


class WorkdirError(UserError):
    """A workdir cannot be used: another config's run, no run at all, or no usable checkpoint."""


def unknown_name(key: str, name: str, known: Iterable[str]) -> ConfigError:
    """Returns the error for a config key whose value is none of the known names, with them and the nearest."""
    known = tuple(known)
    return ConfigError(f"{key} must be one of {', '.join(known)}, not {name!r}{did_you_mean(name, known)}")


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Returns `"; did you mean 'x'?"` for the known name nearest to `name`, or `""` where none is near."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"; did you mean {near[0]!r}?" if near else ""
