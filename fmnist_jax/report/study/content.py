"""What a report of a study consists of, apart from whether it is written as HTML or as Markdown."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TypeAlias

from fmnist_jax.report.page import Picture


@dataclasses.dataclass(frozen=True)
class Table:
    """A table; `name` says of what. With `numbers`, all columns but the first are numbers."""

    name: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers: bool = True


@dataclasses.dataclass(frozen=True)
class Notice:
    """What one must not miss; `kind` is `"bad"`, `"warning"` or `"note"`."""

    kind: str
    title: str
    text: str


@dataclasses.dataclass(frozen=True)
class Bullets:
    """A list of sentences."""

    items: Sequence[str]


@dataclasses.dataclass(frozen=True)
class Verdict:
    """The verdict's sentences, the answer first; `about` names the workload where there are several."""

    about: str
    sentences: Sequence[str]


@dataclasses.dataclass(frozen=True)
class Heading:
    """A heading over one item."""

    text: str


@dataclasses.dataclass(frozen=True)
class Beside:
    """Columns of items that stand beside each other where there is room."""

    columns: Sequence[Sequence[Item]]


Item: TypeAlias = "str | Table | Notice | Bullets | Verdict | Heading | Beside | Picture"


@dataclasses.dataclass(frozen=True)
class Part:
    """A part of the report under a heading, with parts of its own."""

    title: str
    items: Sequence[Item]
    parts: Sequence[Part] = ()
