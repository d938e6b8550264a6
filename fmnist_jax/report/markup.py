"""HTML as values: whatever is not `Markup` is text, and is escaped on its way in."""

from __future__ import annotations

import html


class Markup(str):
    """HTML that is safe to put into a page."""


def markup(content: object) -> Markup:
    """Returns `content` as it is where it is `Markup`, escaped where it is anything else."""
    return content if isinstance(content, Markup) else Markup(html.escape(str(content)))


def join(*contents: object) -> Markup:
    """Returns the contents, each escaped unless it is `Markup`, one after the other."""
    return Markup("".join(map(markup, contents)))


def element(tag: str, *contents: object, **attributes: object) -> Markup:
    """Returns `<tag attributes>contents</tag>`, all of it escaped; `class_` stands for the attribute `class`."""
    return Markup(f"{_start(tag, attributes)}{join(*contents)}</{tag}>")


def void(tag: str, **attributes: object) -> Markup:
    """Returns the start tag of an element that has no contents, as `img`."""
    return Markup(_start(tag, attributes))


def _start(tag: str, attributes: dict[str, object]) -> str:
    given = [f' {name.rstrip("_").replace("_", "-")}="{markup(value)}"' for name, value in attributes.items()]
    return f"<{tag}{''.join(given)}>"
