"""What a report consists of, apart from how it is rendered: a tree of typed items.

`render.py` renders it as HTML and as Markdown and escapes every text.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, NamedTuple, TypeAlias


class BulletList(NamedTuple):
    """A list; a nested list belongs to the item before it."""

    items: Sequence[str | BulletList]


class Code(NamedTuple):
    """A name in a fixed-width font, as a table's cell."""

    text: str


class Table(NamedTuple):
    """A table; `name` is its label for screen readers. With `numeric`, all columns but the first hold numbers."""

    name: str
    header: Sequence[str]
    rows: Sequence[Sequence[str | Code | BulletList]]
    numeric: bool = True


class Stat(NamedTuple):
    """A headline number: its label, its value, and a note."""

    label: str
    value: str
    note: str = ""


class Stats(NamedTuple):
    """The headline numbers of a report, the most important first."""

    items: Sequence[Stat]


class Callout(NamedTuple):
    """A box with what the reader must not miss."""

    kind: Literal["error", "warning", "note"]
    title: str
    text: str


class Verdict(NamedTuple):
    """A study's findings on one workload, the answer first; `about` is the title of the workload's section, if any."""

    about: str
    sentences: Sequence[str]


class Picture(NamedTuple):
    """A plot: the `name` of its file without `.png`, the PNG, its alternative text, and its caption."""

    name: str
    png: bytes
    alt: str
    caption: str


class Command(NamedTuple):
    """A command line to copy."""

    line: str


class Columns(NamedTuple):
    """Columns of items, side by side where the screen is wide enough."""

    columns: Sequence[Sequence[Item]]


class Section(NamedTuple):
    """Items under a heading; the nesting gives the heading's level."""

    title: str
    items: Sequence[Item]


# A plain string is a paragraph.
Item: TypeAlias = "str | Table | Stats | Callout | BulletList | Verdict | Picture | Command | Columns | Section"


class Report(NamedTuple):
    """A report of `kind`, for example `"optimizer study"`; `lead` says in one line what was done."""

    kind: str
    title: str
    lead: str
    items: Sequence[Item]


def pictures(items: Iterable[Item]) -> Iterator[Picture]:
    """Yields the pictures among the items and inside them, in the order of the report."""
    for item in items:
        match item:
            case Picture():
                yield item
            case Section():
                yield from pictures(item.items)
            case Columns():
                for column in item.columns:
                    yield from pictures(column)
