"""Silences what the reads and writes that Orbax cancels print.

Orbax reads or writes the arrays of a checkpoint at once, in an event loop. Where one fails it closes the loop; the
threads of TensorStore, as they finish with the others, find it closed and print a traceback each, after the error was
handled.
"""

from __future__ import annotations

import functools
import sys


@functools.cache
def silence_cancelled_tasks() -> None:
    """Has `sys.unraisablehook` ignore an event loop that is closed, and nothing else, from now on."""
    others = sys.unraisablehook

    def report(unraisable: sys.UnraisableHookArgs) -> None:
        if not (isinstance(unraisable.exc_value, RuntimeError) and str(unraisable.exc_value) == "Event loop is closed"):
            others(unraisable)

    sys.unraisablehook = report
