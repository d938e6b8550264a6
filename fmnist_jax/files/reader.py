"""Reads the files of a workdir strictly: a `WorkdirError` names the file, what is wrong and the way out."""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import typing
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from fmnist_jax.errors import TYPE_NAMES, WorkdirError

Record = TypeVar("Record")
# Larger than any count or measurement; JSON itself has no limit, and reads `1e999` as infinity.
_LIMITS = {int: 2**53, float: 1e100}


@dataclasses.dataclass(frozen=True)
class WorkdirReader:
    """A folder of files; `remedy` is what the user can do where a file is missing or damaged."""

    path: Path
    remedy: str

    def error(self, name: str, problem: str) -> WorkdirError:
        """Returns the error to raise about the file `name`, as `"DIR/name <problem>; <remedy>"`."""
        return WorkdirError(f"{self.path / name} {problem}; {self.remedy}")

    def has(self, name: str) -> bool:
        """Returns whether there is a file `name`."""
        try:
            return (self.path / name).exists()
        except OSError as error:
            raise self.error(name, f"cannot be read ({error.strerror})") from None

    def text(self, name: str) -> str:
        """Returns the text of the file `name`."""
        try:
            return (self.path / name).read_text(encoding="utf-8")
        except FileNotFoundError:
            raise self.error(name, "is missing") from None
        except OSError as error:
            raise self.error(name, f"cannot be read ({error.strerror})") from None
        except UnicodeDecodeError:
            raise self.error(name, "is not text in UTF-8") from None

    def object(self, name: str) -> dict[str, Any]:
        """Returns the JSON object that the file `name` holds."""
        return self._parse(name, self.text(name), "")

    def objects(self, name: str, allow_partial_tail: bool = False) -> list[dict[str, Any]]:
        """Returns the JSON objects that the file `name` holds, one a line.

        With `allow_partial_tail`, an incomplete last line, as a killed process leaves, is ignored.
        """
        text = self.text(name)
        lines = (text[: text.rfind("\n") + 1] if allow_partial_tail else text).splitlines()
        return [self._parse(name, line, f"line {number} ") for number, line in enumerate(lines, start=1)]

    def arrays(self, name: str) -> dict[str, np.ndarray]:
        """Returns the arrays of the `.npz` file `name`; never unpickles."""
        try:
            # np.load leaves a file open that it opened itself and cannot read.
            with (self.path / name).open("rb") as opened, np.load(opened, allow_pickle=False) as file:
                return dict(file)
        except FileNotFoundError:
            raise self.error(name, "is missing") from None
        except (OSError, ValueError, TypeError, EOFError, NotImplementedError, zipfile.BadZipFile, zlib.error):
            raise self.error(name, "is not a readable .npz file of plain arrays") from None

    def record(self, kind: type[Record], values: Mapping[str, Any], name: str) -> Record:
        """Returns the dataclass `kind` of the JSON object `values`, which came from the file `name`.

        A field of type `float` takes `null` as NaN, one with a default may be absent, one named `accuracy` or
        `*_accuracy` is in [0, 1]; other keys of `values` are ignored.
        """
        fields, hints = dataclasses.fields(typing.cast(Any, kind)), _hints(typing.cast(Any, kind))
        found = {f.name: self._value(f.name, hints[f.name], values, name) for f in fields if f.name in values}
        missing = [f.name for f in fields if f.name not in values and f.default is dataclasses.MISSING]
        if missing:
            raise self.error(name, f"lacks {missing[0]!r}")
        return kind(**found)

    def _value(self, key: str, kind: type, values: Mapping[str, Any], name: str) -> Any:
        value = values[key]
        if kind is float and value is None:
            return math.nan
        allowed = (int, float) if kind is float else (kind,)
        if type(value) not in allowed or (kind in (int, float) and not abs(value) < _LIMITS[kind]):
            or_null = " or null" if kind is float else ""
            raise self.error(name, f"has {key} = {value!r:.40}, which is not {TYPE_NAMES[kind]}{or_null}")
        if key.endswith("accuracy") and not 0 <= value <= 1:
            raise self.error(name, f"has {key} = {value!r}, which is not between 0 and 1")
        return value

    def _parse(self, name: str, text: str, where: str) -> dict[str, Any]:
        try:
            value = json.loads(text, parse_constant=_refuse_constant)
        except (ValueError, RecursionError):
            raise self.error(name, f"{where}is not JSON") from None
        if not isinstance(value, dict):
            raise self.error(name, f"{where}is not a JSON object")
        return value


@functools.cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(typing.cast(Any, kind))


def _refuse_constant(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")
