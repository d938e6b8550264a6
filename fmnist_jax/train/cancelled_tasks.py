"""Silences what the reads and writes that Orbax cancels print.

Orbax reads or writes the arrays of a checkpoint at once, in an event loop. Where one fails it closes the loop; the
threads of TensorStore, as they finish with the others, find it closed and print a traceback each, after the error was
handled. Where a second one fails before that, asyncio logs that nobody asked for its error.
"""

from __future__ import annotations

import functools
import logging
import sys


@functools.cache
def silence_cancelled_tasks() -> None:
    """From now on, has `sys.unraisablehook` ignore an event loop that is closed, and asyncio's log a second failure."""
    logging.getLogger("asyncio").addFilter(lambda record: not _is_second_failure(record.getMessage()))
    others = sys.unraisablehook

    def report(unraisable: sys.UnraisableHookArgs) -> None:
        if not (isinstance(unraisable.exc_value, RuntimeError) and str(unraisable.exc_value) == "Event loop is closed"):
            others(unraisable)

    sys.unraisablehook = report


def _is_second_failure(message: str) -> bool:
    return message.startswith("Task exception was never retrieved") and 'Error opening "zarr" driver' in message
