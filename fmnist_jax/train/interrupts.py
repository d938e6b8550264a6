"""Signals that ask to stop, as Ctrl-C does: the first stops training after the current epoch, the second at once."""

from __future__ import annotations

import signal
import sys
import threading
import time
from types import FrameType, TracebackType
from typing import Any

import jax

from fmnist_jax.runtime import processes
from fmnist_jax.runtime.signals import stop_signals


class Interrupted(Exception):
    """Training was stopped by a signal; its message is for the user.

    **Attributes:**

    - `signal_number`; `exit_code`: 128 + `signal_number`.
    - `immediate`: whether a computation may still be running, for which an ordinary exit would wait.
    """

    def __init__(self, signal_number: int, message: str, *, immediate: bool = False):
        super().__init__(message)
        self.signal_number = signal_number
        self.exit_code = 128 + signal_number
        self.immediate = immediate


class Interrupts:
    """While entered, keeps the `stop_signals` until the loop checks for them. Does nothing outside the main thread.

    **Arguments:**

    - `finish_epoch`: the first signal waits for the end of the epoch, only a second one stops immediately.
    """

    def __init__(self, *, finish_epoch: bool = True) -> None:
        self._finish_epoch = finish_epoch
        self.received: int | None = None
        self._count = 0
        self._previous: dict[int, Any] = {}
        self._wakeup_fd = -1

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is not threading.main_thread():  # Python delivers signals to that one only
            return self
        # A listener on the wakeup file descriptor, as the scripts have, might read the signal only after this exits and
        # stop a second time. In this order a handler is installed at every moment.
        self._wakeup_fd = signal.set_wakeup_fd(-1)
        for number in stop_signals():
            self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        if self._previous:
            signal.set_wakeup_fd(self._wakeup_fd)

    def agree(self) -> int | None:
        """Returns the signal that this or another process has received; all processes must call it together."""
        self.received = max((found for found in processes.gather(self.received) if found is not None), default=None)
        return self.received

    def check(self) -> None:
        """Raises `Interrupted` if a signal was received, as `agree` finds."""
        if (received := self.agree()) is not None:
            raise Interrupted(received, "stopped")

    def wait(self, arrays: Any, *, poll: float = 0.002) -> None:
        """Waits until `arrays` are computed, not blocking signals; raises `Interrupted` at one that ends the wait."""
        leaves = jax.tree.leaves(arrays)
        while not all(leaf.is_ready() for leaf in leaves):
            if self._count > self._finish_epoch and self.received is not None:
                raise Interrupted(self.received, "stopped at once, within an epoch", immediate=True)
            time.sleep(poll)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        del frame
        self.received = number
        self._count += 1
        if self._count == 1 and self._finish_epoch:
            name = signal.Signals(number).name
            print(f"{name}: stopping after this epoch; once more to stop at once and lose it", file=sys.stderr)
