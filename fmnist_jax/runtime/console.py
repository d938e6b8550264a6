"""The console that progress is printed on: lines everywhere, a bar only where somebody watches it."""

from __future__ import annotations

import os
from typing import TextIO

from rich.console import Console


def plain_console(file: TextIO) -> Console:
    """Returns a console for lines of plain text; its `is_terminal` says whether `file` can show a bar.

    By itself, rich takes the word of `FORCE_COLOR` or `TTY_COMPATIBLE` that CI's log is a terminal, and fills it with
    control sequences; and it shows each line as HTML in a notebook.
    """
    watched = hasattr(file, "isatty") and file.isatty() and os.environ.get("TERM") not in ("dumb", "unknown")
    return Console(file=file, force_terminal=watched, force_jupyter=False, highlight=False, soft_wrap=True)
