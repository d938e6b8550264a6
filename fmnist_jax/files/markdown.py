"""Markdown text and tables."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

# An underscore inside a word, and brackets that no address follows, are plain text in Markdown too.
_SPECIAL = re.compile(r"[\\`*|<]|(?<!\w)_|_(?!\w)|(?<=\])\(")
_RULES = {"l": "---", "c": ":---:", "r": "---:"}


def escape(text: str) -> str:
    """Returns `text` on one line, with the characters escaped that Markdown would interpret."""
    return _SPECIAL.sub(r"\\\g<0>", " ".join(text.splitlines()))


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]], alignment: str = "") -> str:
    """Returns a Markdown table, without a newline at its end. Header and cells are escaped.

    **Arguments:**

    - `alignment`: a letter for each column, `"l"`, `"c"` or `"r"`; all columns are left-aligned by default.

    **Raises:** `ValueError` for a row or an alignment that does not have one entry per column of the header.
    """
    alignment = alignment or "l" * len(header)
    body = [[escape(cell) for cell in row] for row in (header, *rows)]
    if any(len(row) != len(header) for row in (alignment, *body)):
        raise ValueError(f"a row or the alignment does not have {len(header)} columns")
    body.insert(1, [_RULES[letter] for letter in alignment])
    return "\n".join(f"| {' | '.join(row)} |" for row in body)
