"""Stops a script under test at a chosen moment. Python imports this at its start where PYTHONPATH has this folder.

PAUSE_AT    name of a module or a file: when it is imported or opened, prints "paused" and sleeps
DIE_IN, DIE_AT    a folder and a number n: dies without warning just before the nth change of a file in the folder
"""

import os
import signal
import sys
import time
from typing import Any

_CHANGES = ("os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.truncate")
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_changes = 0


def _pause(event: str, arguments: tuple[Any, ...]) -> None:
    if event in ("import", "open") and os.path.basename(str(arguments[0])) == os.environ["PAUSE_AT"]:  # noqa: PTH119
        os.write(1, b"paused\n")
        time.sleep(60)


def _die(event: str, arguments: tuple[Any, ...]) -> None:
    global _changes
    if event in _CHANGES or (event == "open" and arguments[2] & _WRITES):
        _changes += str(arguments[0]).startswith(os.environ["DIE_IN"])
        if _changes == int(os.environ["DIE_AT"]):
            os.kill(os.getpid(), signal.SIGKILL)


if "PAUSE_AT" in os.environ:
    sys.addaudithook(_pause)
if "DIE_AT" in os.environ:
    sys.addaudithook(_die)
