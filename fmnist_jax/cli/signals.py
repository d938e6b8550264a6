"""Stopping a script at once at SIGINT and SIGTERM, whatever it is doing."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType

_ending = threading.Lock()


def exit_on_signals() -> None:
    """From now on SIGINT and SIGTERM end this process with the exit codes 130 and 143, and a line on stderr.

    It ends without a word of clean-up: whatever is written is written whole or not at all. Where a part of the program
    has more to lose, it puts handlers of its own in place for that time.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _end)
    # Python runs handlers between two of its own instructions, so not while it waits for a compilation or a
    # computation; and an exception from a handler may be lost in whichever library it comes up in.
    receiver, sender = os.pipe()
    os.set_blocking(sender, False)
    signal.set_wakeup_fd(sender, warn_on_full_buffer=False)
    threading.Thread(target=_listen, args=(receiver,), daemon=True).start()


def _listen(receiver: int) -> None:
    while numbers := os.read(receiver, 1):
        if signal.getsignal(numbers[0]) is _end:
            _end(numbers[0], None)


def _end(number: int, frame: FrameType | None) -> None:
    del frame
    if _ending.acquire(blocking=False):  # the main thread and the listener's may both come here: one line
        os.write(2, f"{signal.Signals(number).name}: stopped; run the same command again\n".encode())
        os._exit(128 + number)
