"""Markdown tables, and the figures in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def words(figure: Mapping[str, float], digits: str = ",.0f") -> str:
    """Returns a median with the lowest and the highest."""
    return f"{figure['median']:{digits}} ({figure['low']:{digits}} to {figure['high']:{digits}})"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Returns a Markdown table, its columns aligned for who reads it as text; empty where it would have no rows."""
    if not rows:
        return ""
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
    rule = ["-" * max(3, widths[0]), *("-" * (width - 1) + ":" for width in widths[1:])]
    widths[0] = max(3, widths[0])
    lines = [[row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])] for row in (header, *rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (lines[0], rule, *lines[1:]))
