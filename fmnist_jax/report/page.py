"""The parts of every report's page, and the page: one file that needs no network, for a desk and for a phone."""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Iterable, Sequence

from fmnist_jax.report.markup import Markup, element, join, void
from fmnist_jax.report.stylesheet import STYLESHEET


@dataclasses.dataclass(frozen=True)
class Picture:
    """A plot: `name` of its file without `.png`, the PNG, its words for who does not see it, and its caption."""

    name: str
    png: bytes
    alt: str
    caption: str


@dataclasses.dataclass(frozen=True)
class Figure:
    """A headline figure: what it is, its value, and a note to it."""

    label: str
    value: str
    note: str = ""


def page(title: str, *contents: object) -> str:
    """Returns the text of an HTML file."""
    head = join(
        void("meta", charset="utf-8"),
        void("meta", name="viewport", content="width=device-width, initial-scale=1"),
        void("meta", name="color-scheme", content="light dark"),
        element("title", title),
        element("style", Markup(STYLESHEET)),
    )
    html = element("html", element("head", head), element("body", element("main", *contents)), lang="en")
    return f"<!DOCTYPE html>\n{html}\n"


def section(title: str, *contents: object, level: int = 2, anchor: str = "") -> Markup:
    """Returns a part of the page under a heading of the level; `anchor` is what links to it go to."""
    attributes = {"id": anchor} if anchor else {}
    return element("section", element(f"h{level}", title), *contents, **attributes)


def verdict(about: str, sentences: Sequence[object], anchor: str = "") -> Markup:
    """Returns what was found, the first sentence large; `about` what, with a link to the part at `anchor`."""
    head = element("p", element("a", about, href=f"#{anchor}"), class_="about") if about else ""
    first, *others = sentences
    rest = (
        element("p", join(*(join(" " if place else "", text) for place, text in enumerate(others)))) if others else ""
    )
    return element("div", head, element("p", first, class_="answer"), rest, class_="verdict")


def beside(*columns: object) -> Markup:
    """Returns columns beside each other where the screen is wide enough, else below each other."""
    return element("div", *(element("div", column) for column in columns), class_="beside")


def banner(kind: str, title: str, text: str) -> Markup:
    """Returns a box that one cannot miss; `kind` is `"bad"`, `"warning"` or `"note"`."""
    return element("div", element("strong", title), " ", text, class_=f"banner {kind}", role="note")


def headline(figures: Iterable[Figure]) -> Markup:
    """Returns the figures as tiles, the first of them in colour."""
    tiles = (
        join(element("dt", figure.label), element("dd", figure.value, element("small", figure.note)))
        for figure in figures
    )
    return element("dl", *(element("div", tile) for tile in tiles), class_="headline")


def table(name: str, header: Sequence[str], rows: Iterable[Sequence[object]], numbers: bool = False) -> Markup:
    """Returns a table that scrolls where the screen is too narrow for it.

    `name` tells a screen reader what it is of. With `numbers`, all columns but the first are numbers: they stand to
    the right, and the rows scroll too where they are many.
    """
    head = element("tr", *(element("th", cell, scope="col") for cell in header))
    body = (element("tr", element("th", row[0], scope="row"), *(element("td", c) for c in row[1:])) for row in rows)
    inner = element("table", element("thead", head), element("tbody", *body))
    kind = "scroll numbers" if numbers else "scroll words"
    # Focusable, so that it scrolls by the keyboard too.
    return element("div", inner, class_=kind, role="region", aria_label=name, tabindex=0)


def picture(shown: Picture) -> Markup:
    """Returns the picture, inside the page, with its caption."""
    source = "data:image/png;base64," + base64.b64encode(shown.png).decode("ascii")
    return element("figure", void("img", src=source, alt=shown.alt), element("figcaption", shown.caption))


def paragraphs(*texts: object) -> Markup:
    """Returns each text as a paragraph."""
    return join(*(element("p", text) for text in texts))


def bullets(items: Iterable[object]) -> Markup:
    """Returns the items as a list."""
    return element("ul", *(element("li", item) for item in items))


def command(line: str) -> Markup:
    """Returns a command line to copy."""
    return element("pre", element("code", line), tabindex=0)
