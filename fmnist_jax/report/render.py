"""Renders a report as one HTML file that needs no network and as Markdown, and writes both with the plots."""

from __future__ import annotations

import base64
import html
import urllib.parse
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from fmnist_jax.files.atomic import remove, write_atomically
from fmnist_jax.files.markdown import escape, markdown_table
from fmnist_jax.report import model
from fmnist_jax.report.stylesheet import STYLESHEET


def write_report(folder: Path, report: model.Report, plot_names: Sequence[str]) -> Path:
    """Writes `plots/*.png`, `report.md` and `report.html` and returns the path of the last.

    Removes the plots that an earlier report left and this one does not have.

    **Arguments:**

    - `plot_names`: the names of all plots that a report of this kind can have, without a prefix.
    """
    drawn = {picture.name: picture for picture in model.pictures(report.items)}
    plots, page = folder / "plots", folder / "report.html"
    for name in plot_names:
        # Also for a file that does not exist, so that an unusable folder is an error.
        for path in {plots / f"{name}.png", *plots.glob(f"*{name}.png")}:
            if path.stem not in drawn:
                remove(path)
    for name, picture in drawn.items():
        write_atomically(plots / f"{name}.png", picture.png)
    write_atomically(folder / "report.md", render_markdown(report).encode())
    write_atomically(page, render_html(report).encode())
    return page


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


def render_html(report: model.Report) -> str:
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
        _html_items(report.items, level=2),
    )
    return f"<!DOCTYPE html>\n{element('html', element('head', head), element('body', main), lang='en')}\n"


def _html_items(items: Iterable[model.Item], level: int) -> Markup:
    """Returns the items; `level` is that of the headings of sections among them."""
    return join(*(_html_item(item, level) for item in items))


def _html_item(item: model.Item, level: int) -> Markup:
    match item:
        case model.Section():
            anchor = {"id": _anchor(item.title)} if level == 2 else {}
            return element("section", element(f"h{level}", item.title), _html_items(item.items, level + 1), **anchor)
        case model.Columns():
            columns = [element("div", _html_items(column, level)) for column in item.columns]
            return element("div", *columns, class_="columns")
        case model.Table():
            return _html_table(item)
        case model.Stats():
            tiles = [
                element("div", element("dt", stat.label), element("dd", stat.value, element("small", stat.note)))
                for stat in item.items
            ]
            return element("dl", *tiles, class_="stats")
        case model.Verdict():
            return _html_verdict(item)
        case model.Picture():
            source = "data:image/png;base64," + base64.b64encode(item.png).decode("ascii")
            return element("figure", void("img", src=source, alt=item.alt), element("figcaption", item.caption))
        case model.Callout():
            title = element("strong", item.title)
            return element("div", title, " ", item.text, class_=f"callout {item.kind}", role="note")
        case model.BulletList():
            return _html_cell(item)
        case model.Command():
            return element("pre", element("code", item.line), tabindex=0)
        case _:
            return element("p", item)


def _html_table(table: model.Table) -> Markup:
    head = element("tr", *(element("th", cell, scope="col") for cell in table.header))
    body = [
        element("tr", element("th", _html_cell(first), scope="row"), *(element("td", _html_cell(c)) for c in others))
        for first, *others in table.rows
    ]
    inner = element("table", element("thead", head), element("tbody", *body))
    kind = "scroll numbers" if table.numeric else "scroll words"
    # Focusable, so that the keyboard scrolls it too.
    return element("div", inner, class_=kind, role="region", aria_label=table.name, tabindex=0)


def _html_cell(cell: str | model.Code | model.BulletList) -> Markup:
    match cell:
        case model.Code():
            return element("span", cell.text, class_="code")
        case model.BulletList():
            return element("ul", *(element("li", _html_cell(item)) for item in cell.items))
        case _:
            return join(cell)


def _html_verdict(verdict: model.Verdict) -> Markup:
    about = element("p", element("a", verdict.about, href=f"#{_anchor(verdict.about)}"), class_="about")
    first, *others = verdict.sentences
    rest = element("p", " ".join(others)) if others else ""
    return element("div", about if verdict.about else "", element("p", first, class_="answer"), rest, class_="verdict")


def _anchor(title: str) -> str:
    return urllib.parse.quote(title, safe="")


def render_markdown(report: model.Report) -> str:
    """Returns the text of the Markdown file; its pictures are the files in `plots/` beside it."""
    blocks = _markdown_blocks(report.items, level=2)
    return "\n\n".join([f"# {escape(report.title)}", escape(report.lead), *blocks]) + "\n"


def _markdown_blocks(items: Iterable[model.Item], level: int) -> Iterator[str]:
    """Yields the items' blocks; `level` is that of the headings of sections among them."""
    for item in items:
        match item:
            case model.Section():
                yield f"{'#' * level} {escape(item.title)}"
                yield from _markdown_blocks(item.items, level + 1)
            case model.Columns():
                for column in item.columns:
                    yield from _markdown_blocks(column, level)
            case _:
                yield _markdown_block(item)


def _markdown_block(item: model.Item) -> str:
    match item:
        case model.Table():
            rows = [[_markdown_cell(cell) for cell in row] for row in item.rows]
            return markdown_table(item.header, rows, "l".ljust(len(item.header), "r" if item.numeric else "l"))
        case model.Stats():
            return "\n".join(
                f"- {escape(stat.label)}: **{escape(stat.value)}**" + (f" ({escape(stat.note)})" if stat.note else "")
                for stat in item.items
            )
        case model.Verdict():
            first, *others = map(escape, item.sentences)
            return " ".join([f"{escape(item.about)}: " * bool(item.about) + f"**{first}**", *others])
        case model.Picture():
            return f"![{escape(item.alt)}](plots/{item.name}.png)\n\n*{escape(item.caption)}*"
        case model.Callout():
            return f"> **{escape(item.title)}** {escape(item.text)}"
        case model.BulletList():
            return "\n".join(_markdown_bullets(item))
        case model.Command():
            return f"```\n{item.line}\n```"
        case _:
            return escape(str(item))


def _markdown_bullets(listed: model.BulletList, indent: str = "") -> Iterator[str]:
    for item in listed.items:
        if isinstance(item, model.BulletList):
            yield from _markdown_bullets(item, indent + "  ")
        else:
            yield f"{indent}- {escape(item)}"


def _markdown_cell(cell: str | model.Code | model.BulletList) -> str:
    match cell:
        case model.Code():
            return cell.text
        case model.BulletList():
            items = [f"({_markdown_cell(item)})" if isinstance(item, model.BulletList) else item for item in cell.items]
            return "; ".join(items).replace(":; (", ": (")
        case _:
            return cell
