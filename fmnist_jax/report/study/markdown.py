"""The report of a study as Markdown, for a repository; its plots are the files beside it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from fmnist_jax.files.markdown import escape, markdown_table
from fmnist_jax.report.page import Picture
from fmnist_jax.report.record_parts import command_line, provenance
from fmnist_jax.report.study.content import Beside, Bullets, Heading, Item, Notice, Part, Table, Verdict
from fmnist_jax.report.study.context import Context
from fmnist_jax.report.study.sections import headline_figures, notices, parts, verdicts
from fmnist_jax.report.style import Subject


def study_markdown(context: Context, pictures: Mapping[str, Picture]) -> str:
    """Returns the Markdown of a study's report; it shows `plots/<name>.png` for each of the pictures."""
    blocks = [f"# {escape(Subject('', context.synthetic).title(context.title))}", escape(context.lead)]
    items: list[Item] = [*notices(context), *verdicts(context)]
    blocks += [block for item in items for block in _item(item)]
    figures = [
        f"{escape(f.label)}: **{escape(f.value)}**{f' ({escape(f.note)})' if f.note else ''}"
        for f in headline_figures(context)
    ]
    blocks.append("\n".join(f"- {figure}" for figure in figures))
    for part in parts(context, pictures):
        blocks += _part(part, 2)
    blocks += _provenance(context.study.manifest)
    return "\n\n".join(blocks) + "\n"


def _part(part: Part, level: int) -> Iterator[str]:
    yield f"{'#' * level} {escape(part.title)}"
    for item in part.items:
        yield from _item(item)
    for inner in part.parts:
        yield from _part(inner, level + 1)


def _item(item: Item) -> Iterator[str]:
    match item:
        case Table():
            alignment = "l".ljust(len(item.header), "r" if item.numbers else "l")
            yield markdown_table(item.header, item.rows, alignment)
        case Notice():
            yield f"> **{escape(item.title)}** {escape(item.text)}"
        case Bullets():
            yield "\n".join(f"- {escape(text)}" for text in item.items)
        case Verdict():
            first, *others = map(escape, item.sentences)
            about = f"{escape(item.about)}: " if item.about else ""
            yield " ".join([f"{about}**{first}**", *others])
        case Beside():
            for inner in itertools.chain(*item.columns):
                yield from _item(inner)
        case Heading():
            yield f"**{escape(item.text)}**"
        case Picture():
            yield f"![{escape(item.alt)}](plots/{item.name}.png)"
            yield f"*{escape(item.caption)}*"
        case _:
            yield escape(item)


def _provenance(manifest: Mapping[str, Any] | None) -> Iterator[str]:
    yield "## Where it comes from"
    if manifest is None:
        yield "manifest.json is missing, so the code, the machine and the data of this study are not on record."
        return
    line = command_line(manifest)
    if line is not None:
        yield "To make the study again, check out the commit below and give this command a new `--workdir`:"
        yield f"```\n{line}\n```"
    if manifest.get("git_dirty"):
        yield "> **Uncommitted changes.** The commit alone does not make the study again."
    yield markdown_table(["What", "Record"], [[label, _plain(value)] for label, value in provenance(manifest)])


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return "; ".join(f"{key}: {_plain(inner)}" for key, inner in value.items())
    return ", ".join(map(_plain, value)) if isinstance(value, list) else str(value)
