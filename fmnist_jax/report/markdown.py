"""Renders a report as Markdown, for a repository; its pictures are the files in `plots/` beside it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from fmnist_jax.files.markdown import escape, markdown_table
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
    Stat,
    Stats,
    Table,
    Verdict,
)


def render_markdown(report: Report) -> str:
    """Returns the text of the Markdown file."""
    return "\n\n".join([f"# {escape(report.title)}", escape(report.lead), *_blocks(report.items, level=2)]) + "\n"


def _blocks(items: Iterable[Item], level: int) -> Iterator[str]:
    """Yields the items' blocks; `level` is that of the headings of sections among them."""
    for item in items:
        match item:
            case Section():
                yield f"{'#' * level} {escape(item.title)}"
                yield from _blocks(item.items, level + 1)
            case Columns():
                for column in item.columns:
                    yield from _blocks(column, level)
            case _:
                yield _block(item)


def _block(item: Item) -> str:
    match item:
        case Table():
            rows = [[_cell(cell) for cell in row] for row in item.rows]
            return markdown_table(item.header, rows, "l".ljust(len(item.header), "r" if item.numeric else "l"))
        case Stats():
            return "\n".join(map(_stat, item.items))
        case Verdict():
            first, *others = map(escape, item.sentences)
            return " ".join([f"{escape(item.about)}: " * bool(item.about) + f"**{first}**", *others])
        case Picture():
            return f"![{escape(item.alt)}](plots/{item.name}.png)\n\n*{escape(item.caption)}*"
        case Callout():
            return f"> **{escape(item.title)}** {escape(item.text)}"
        case BulletList():
            return "\n".join(_bullets(item))
        case Command():
            return f"```\n{item.line}\n```"
        case _:
            return escape(str(item))


def _stat(stat: Stat) -> str:
    return f"- {escape(stat.label)}: **{escape(stat.value)}**{f' ({escape(stat.note)})' * bool(stat.note)}"


def _bullets(listed: BulletList, indent: str = "") -> Iterator[str]:
    for item in listed.items:
        if isinstance(item, BulletList):
            yield from _bullets(item, indent + "  ")
        else:
            yield f"{indent}- {escape(item)}"


def _cell(cell: str | Code | BulletList) -> str:
    match cell:
        case Code():
            return cell.text
        case BulletList():
            items = [f"({_cell(item)})" if isinstance(item, BulletList) else item for item in cell.items]
            return "; ".join(items).replace(":; (", ": (")
        case _:
            return cell
