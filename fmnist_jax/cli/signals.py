"""Ends a script immediately at SIGINT or SIGTERM, whatever it is doing."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType

_ending = threading.Lock()


def exit_on_signals() -> None:
    """Makes SIGINT and SIGTERM end this process with exit code 130 or 143 and a line on stderr.

    There is no clean-up: files are written atomically. Code that has more to lose installs its own handlers meanwhile.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _end)
    # Python runs handlers between two bytecode instructions, so not during a compilation or a computation; and a
    # library may swallow an exception raised by a handler. Hence a thread that listens.
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
    if _ending.acquire(blocking=False):  # the main thread and the listening one may both get here: print once
        os.write(2, f"{signal.Signals(number).name}: stopped; run the same command again\n".encode())
        os._exit(128 + number)
