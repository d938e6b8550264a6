"""Reads the files of a workdir strictly: a `WorkdirError` names the file, what is wrong and the way out."""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import types
import typing
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from fmnist_jax.errors import TYPE_NAMES, WorkdirError

Record = TypeVar("Record")
_type_hints = functools.cache(typing.get_type_hints)
_CONTAINERS: Mapping[Any, str] = {Sequence: "a list", Mapping: "an object without null"}

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

    def records(self, kind: type[Record], name: str) -> list[Record]:
        """Returns the dataclasses `kind` that the file `name` holds, one a line, as `record`; an error names the line.

        An incomplete last line, as a killed process leaves, is ignored.
        """
        lines = self.objects(name, allow_partial_tail=True)
        return [self.record(kind, values, name, f"line {number} ") for number, values in enumerate(lines, start=1)]

    def record(self, kind: type[Record], values: Any, name: str, where: str = "") -> Record:
        """Returns the dataclass `kind` of the JSON object `values`, which came from the file `name`.

        Fields are numbers, strings, `Literal`s, dataclasses, `Sequence`s and `Mapping`s by string of such, or `None`. A
        field of type `float` takes `null` as NaN, one with a default may be absent, one named `accuracy` or
        `*_accuracy` is in [0, 1]; other keys of `values` are ignored.

        **Arguments:**

        - `where`: the place within the file, for errors: `"line 3 "`.
        """
        if not isinstance(values, dict):
            raise self.error(name, f"{where}has {values!r:.40} where an object is expected")
        dataclass: Any = kind
        hints, found = _type_hints(dataclass), {}
        for field in dataclasses.fields(dataclass):
            if field.name in values:
                found[field.name] = self._value(field.name, hints[field.name], values[field.name], name, where)
            elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
                raise self.error(name, f"{where}lacks {field.name!r}")
        return kind(**found)

    def _value(self, key: str, hint: Any, value: Any, name: str, where: str) -> Any:
        optional = _is_optional(hint)
        kind = typing.get_args(hint)[0] if optional else hint
        if value is None and (optional or kind is float):
            return math.nan if kind is float else None
        if kind in TYPE_NAMES:
            return self._scalar(key, kind, value, name, where)
        if dataclasses.is_dataclass(kind):
            return self.record(typing.cast(Any, kind), value, name, where)
        origin, arguments = typing.get_origin(kind), typing.get_args(kind)
        if origin is Sequence and isinstance(value, list):
            return [self._value(key, arguments[0], item, name, where) for item in value]
        if origin is Mapping and isinstance(value, dict) and (_is_optional(arguments[1]) or None not in value.values()):
            return {inner: self._value(inner, arguments[1], item, name, where) for inner, item in value.items()}
        if origin is typing.Literal and value in arguments:
            return value
        allowed = " or ".join(arguments) if origin is typing.Literal else _CONTAINERS[origin]
        raise self.error(name, f"{where}has {key} = {value!r:.40}, which is not {allowed}")

    def _scalar(self, key: str, kind: type, value: Any, name: str, where: str) -> Any:
        allowed = (int, float) if kind is float else (kind,)
        if type(value) not in allowed or (kind in _LIMITS and not abs(value) < _LIMITS[kind]):
            or_null = " or null" if kind is float else ""
            raise self.error(name, f"{where}has {key} = {value!r:.40}, which is not {TYPE_NAMES[kind]}{or_null}")
        if key.endswith("accuracy") and not 0 <= value <= 1:
            raise self.error(name, f"{where}has {key} = {value!r}, which is not between 0 and 1")
        return value

    def _parse(self, name: str, text: str, where: str) -> dict[str, Any]:
        try:
            value = json.loads(text, parse_constant=_refuse_constant)
        except (ValueError, RecursionError):
            raise self.error(name, f"{where}is not JSON") from None
        if not isinstance(value, dict):
            raise self.error(name, f"{where}is not a JSON object")
        # Only an escape can smuggle half of a character past the reading of the file as UTF-8.
        if "\\ud" in text.lower():
            try:
                json.dumps(value, ensure_ascii=False).encode()
            except UnicodeEncodeError:
                raise self.error(name, f"{where}holds text that is not valid Unicode") from None
        return value


def _is_optional(hint: Any) -> bool:
    return isinstance(hint, types.UnionType)


def _refuse_constant(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")
