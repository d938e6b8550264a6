"""Renders a report as one HTML file that needs no network and fits a desktop and a phone."""

from __future__ import annotations

import base64
import html
import urllib.parse
from collections.abc import Iterable

from fmnist_jax.report.model import (
    BulletList,
    Callout,
    Code,
    Columns,
    Command,
    Item,
    Picture,
    Report,
    Section,
    Stats,
    Table,
    Verdict,
)
from fmnist_jax.report.stylesheet import STYLESHEET


class Markup(str):
    """HTML that needs no escaping."""


def join(*contents: object) -> Markup:
    """Returns the concatenated contents; whatever is not `Markup` is escaped."""
    return Markup("".join(c if isinstance(c, Markup) else html.escape(str(c)) for c in contents))


def element(tag: str, *contents: object, **attributes: object) -> Markup:
    """Returns `<tag attributes>contents</tag>`, all of it escaped; `class_` stands for the attribute `class`."""
    return Markup(f"{void(tag, **attributes)}{join(*contents)}</{tag}>")


def void(tag: str, **attributes: object) -> Markup:
    """Returns the start tag of an element that has no contents, such as `img`."""
    given = [f' {name.rstrip("_").replace("_", "-")}="{join(value)}"' for name, value in attributes.items()]
    return Markup(f"<{tag}{''.join(given)}>")


def render_html(report: Report) -> str:
    """Returns the text of the HTML file, with its pictures inside it."""
    head = join(
        void("meta", charset="utf-8"),
        void("meta", name="viewport", content="width=device-width, initial-scale=1"),
        void("meta", name="color-scheme", content="light dark"),
        element("title", report.title),
        element("style", Markup(STYLESHEET)),
    )
    main = element(
        "main",
        element("p", f"fmnist_jax report: {report.kind}", class_="eyebrow"),
        element("h1", report.title),
        element("p", report.lead, class_="lead"),
        _items(report.items, level=2),
    )
    return f"<!DOCTYPE html>\n{element('html', element('head', head), element('body', main), lang='en')}\n"


def _items(items: Iterable[Item], level: int) -> Markup:
    return join(*(_item(item, level) for item in items))


def _item(item: Item, level: int) -> Markup:
    """Returns the item; `level` is that of the headings of sections inside it."""
    match item:
        case Section():
            anchor = {"id": _anchor(item.title)} if level == 2 else {}
            return element("section", element(f"h{level}", item.title), _items(item.items, level + 1), **anchor)
        case Columns():
            return element("div", *(element("div", _items(column, level)) for column in item.columns), class_="columns")
        case Table():
            return _table(item)
        case Stats():
            return _stats(item)
        case Verdict():
            return _verdict(item)
        case Picture():
            source = "data:image/png;base64," + base64.b64encode(item.png).decode("ascii")
            return element("figure", void("img", src=source, alt=item.alt), element("figcaption", item.caption))
        case Callout():
            title = element("strong", item.title)
            return element("div", title, " ", item.text, class_=f"callout {item.kind}", role="note")
        case BulletList():
            return _cell(item)
        case Command():
            return element("pre", element("code", item.line), tabindex=0)
        case _:
            return element("p", item)


def _table(table: Table) -> Markup:
    head = element("tr", *(element("th", cell, scope="col") for cell in table.header))
    body = [
        element("tr", element("th", _cell(row[0]), scope="row"), *(element("td", _cell(cell)) for cell in row[1:]))
        for row in table.rows
    ]
    inner = element("table", element("thead", head), element("tbody", *body))
    kind = "scroll numbers" if table.numeric else "scroll words"
    # Focusable, so that the keyboard scrolls it too.
    return element("div", inner, class_=kind, role="region", aria_label=table.name, tabindex=0)


def _cell(cell: str | Code | BulletList) -> Markup:
    match cell:
        case Code():
            return element("span", cell.text, class_="code")
        case BulletList():
            return element("ul", *(element("li", _cell(item)) for item in cell.items))
        case _:
            return join(cell)


def _stats(stats: Stats) -> Markup:
    tiles = [
        element("div", element("dt", stat.label), element("dd", stat.value, element("small", stat.note)))
        for stat in stats.items
    ]
    return element("dl", *tiles, class_="stats")


def _verdict(verdict: Verdict) -> Markup:
    about = element("p", element("a", verdict.about, href=f"#{_anchor(verdict.about)}"), class_="about")
    first, *others = verdict.sentences
    rest = element("p", " ".join(others)) if others else ""
    return element("div", about if verdict.about else "", element("p", first, class_="answer"), rest, class_="verdict")


def _anchor(title: str) -> str:
    return urllib.parse.quote(title, safe="")
