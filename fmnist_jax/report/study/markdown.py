"""The report of a study as Markdown, for a repository; its plots are the files beside it."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fmnist_jax.report.page import Picture
from fmnist_jax.report.record_parts import command_line, provenance
from fmnist_jax.report.study.content import Beside, Bullets, Heading, Item, Notice, Part, Table, Verdict
from fmnist_jax.report.study.context import Context
from fmnist_jax.report.study.sections import headline_figures, notices, parts, verdicts
from fmnist_jax.report.style import Subject

# An underscore within a word, and brackets without an address behind them, are text to Markdown too.
_SPECIAL = re.compile(r"[\\`*|<]|(?<!\w)_|_(?!\w)|(?<=\])\(")


def study_markdown(context: Context, pictures: Mapping[str, Picture]) -> str:
    """Returns the Markdown of a study's report; it shows `plots/<name>.png` for each of the pictures."""
    blocks = [f"# {_text(Subject('', context.synthetic).title(context.title))}", _text(context.lead)]
    items: list[Item] = [*notices(context), *verdicts(context)]
    blocks += [block for item in items for block in _item(item)]
    figures = [
        f"{_text(f.label)}: **{_text(f.value)}**{f' ({_text(f.note)})' if f.note else ''}"
        for f in headline_figures(context)
    ]
    blocks.append("\n".join(f"- {figure}" for figure in figures))
    for part in parts(context, pictures):
        blocks += _part(part, 2)
    blocks += _provenance(context.study.manifest)
    return "\n\n".join(blocks) + "\n"


def _part(part: Part, level: int) -> Iterator[str]:
    yield f"{'#' * level} {_text(part.title)}"
    for item in part.items:
        yield from _item(item)
    for inner in part.parts:
        yield from _part(inner, level + 1)


def _item(item: Item) -> Iterator[str]:
    match item:
        case Table():
            yield _table(item.header, item.rows, "---:" if item.numbers else "---")
        case Notice():
            yield f"> **{_text(item.title)}** {_text(item.text)}"
        case Bullets():
            yield "\n".join(f"- {_text(text)}" for text in item.items)
        case Verdict():
            first, *others = map(_text, item.sentences)
            about = f"{_text(item.about)}: " if item.about else ""
            yield " ".join([f"{about}**{first}**", *others])
        case Beside():
            for inner in itertools.chain(*item.columns):
                yield from _item(inner)
        case Heading():
            yield f"**{_text(item.text)}**"
        case Picture():
            yield f"![{_text(item.alt)}](plots/{item.name}.png)"
            yield f"*{_text(item.caption)}*"
        case _:
            yield _text(item)


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
    yield _table(["What", "Record"], [[label, _plain(value)] for label, value in provenance(manifest)], "---")


def _table(header: Sequence[str], rows: Sequence[Sequence[str]], alignment: str) -> str:
    lines = [header, ["---", *[alignment] * (len(header) - 1)]]
    texts = [" | ".join(lines[0]), " | ".join(lines[1]), *(" | ".join(map(_text, row)) for row in rows)]
    return "\n".join(f"| {text} |" for text in texts)


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return "; ".join(f"{key}: {_plain(inner)}" for key, inner in value.items())
    return ", ".join(map(_plain, value)) if isinstance(value, list) else str(value)


def _text(text: str) -> str:
    """Returns the text with what Markdown would read as its own escaped, on one line."""
    return _SPECIAL.sub(r"\\\g<0>", text.replace("\n", " "))
