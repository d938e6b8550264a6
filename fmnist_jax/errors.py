"""The errors that a user can cause. Scripts print each as one line on stderr and exit with code 2."""

from __future__ import annotations

import difflib
import errno
import os
import sys
from collections.abc import Iterable
from pathlib import Path

# How messages call the types of values.
TYPE_NAMES = {bool: "true or false", int: "an integer", float: "a number", str: "a string"}


class UserError(Exception):
    """Something is wrong with the user's input; the message names the culprit and the way out, in one line."""


class ConfigError(UserError):
    """A flag or a config key has an unknown name, a wrong type or a value that is not allowed."""


class UnknownNameError(ConfigError):
    """The value of a flag or a config key is none of the known names."""


class DataError(UserError):
    """A data set is missing, damaged, of the wrong shape, or cannot be fetched."""


class ImageError(UserError):
    """An image given for prediction cannot be read."""


class WorkdirError(UserError):
    """A workdir cannot be used: it holds another config's run, no run, or no usable checkpoint."""


PROGRAM = "fmnist-jax"


def command(name: str) -> str:
    """Returns what messages call a command: `fmnist-jax train` where that is running, else `scripts/train.py`."""
    return f"{PROGRAM} {name}" if Path(sys.argv[0]).name == PROGRAM else f"scripts/{name}.py"


RAISE_OPEN_FILES = "raise the limit of open files, e.g. with ulimit -n 1024 in a new shell"


def way_out(reason: object, otherwise: str) -> str:
    """Returns what to do about an operating system's error with this text: `otherwise`, unless files are too many."""
    return RAISE_OPEN_FILES if str(reason) == os.strerror(errno.EMFILE) else otherwise


# How people and other libraries call what the config spells out.
_ABBREVIATIONS = {
    "lr": "learning_rate",
    "wd": "weight_decay",
    "beta1": "b1",
    "beta2": "b2",
    "epsilon": "eps",
    "rho": "decay",
    "bs": "batch_size",
    "max_norm": "clip_norm",
}


def unknown_name(key: str, name: str, known: Iterable[str]) -> UnknownNameError:
    """Returns the error for a config key or flag whose value is none of the known names: lists them and the nearest."""
    known = tuple(known)
    if not known:
        return UnknownNameError(f"{key} names {name!r}, but nothing is registered for it")
    return UnknownNameError(f"{key} must be one of {', '.join(known)}, not {name!r}{did_you_mean(name, known)}")


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Returns `"; did you mean 'x'?"` for the known name nearest to `name`, or `""` where none is near."""
    by_lower = {each.lower(): each for each in known}
    section, dot, leaf = name.lower().rpartition(".")
    written_out = f"{section}{dot}{_ABBREVIATIONS.get(leaf, leaf)}"
    near = [written_out] if written_out in by_lower else difflib.get_close_matches(written_out, by_lower, n=1)
    return f"; did you mean {by_lower[near[0]]!r}?" if near else ""
