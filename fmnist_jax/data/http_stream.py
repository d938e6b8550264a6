"""Streams a URL without ever hanging: whatever the network does, the caller has bytes or an error within seconds."""

from __future__ import annotations

import contextlib
import dataclasses
import http.client
import queue
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator

_CHUNK = 2**14
_AHEAD = 64  # chunks read before the caller takes them

_Box = queue.Queue[bytes | Exception]


@dataclasses.dataclass(frozen=True)
class Limits:
    """How long a download may take.

    **Attributes:**

    - `patience`: seconds to wait for a connection, and for each answer of the server.
    - `deadline`: when to give up whatever comes, on the clock of `time.monotonic`.
    """

    patience: float = 5.0
    deadline: float = float("inf")


def chunks(url: str, limits: Limits) -> Iterator[bytes]:
    """Yields what `url` (http or https; proxies are taken from the environment) holds, in chunks of at most 16 KiB.

    Raises `OSError`, with a reason to be shown, where the server cannot be reached, refuses, stalls (less than a chunk
    in `2 * limits.patience` seconds, the look-up of the host included) or is not done by the deadline. Never retries.
    """
    # A socket's time-out covers neither the look-up of the host nor a server that sends byte by byte, and it applies to
    # each of the host's addresses anew: hence a thread, which may be left behind.
    box: _Box = queue.Queue(_AHEAD)
    threading.Thread(target=_pump, args=(url, limits.patience, box), daemon=True).start()
    while chunk := _next(box, 2 * limits.patience):
        if time.monotonic() > limits.deadline:
            raise TimeoutError("it is too slow")
        yield chunk


def _next(box: _Box, seconds: float) -> bytes:
    try:
        item = box.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError(f"no answer within {seconds:g} seconds") from None
    if isinstance(item, Exception):
        raise OSError(_reason(item)) from item
    return item


def _pump(url: str, patience: float, box: _Box) -> None:
    """Puts the chunks of `url` into `box`, then `b""` or the error; stops when nobody takes them any more."""
    with contextlib.suppress(queue.Full):
        try:
            with urllib.request.urlopen(url, timeout=patience) as response:
                while chunk := response.read(_CHUNK):
                    box.put(chunk, timeout=2 * patience)
            box.put(b"", timeout=2 * patience)
        except (OSError, http.client.HTTPException, ValueError) as error:
            if isinstance(error, urllib.error.HTTPError):
                error.close()  # it is the response, too
            box.put(error, timeout=2 * patience)


def _reason(error: Exception) -> str:
    """Returns what went wrong, in one line: some of it may be the server's words."""
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(cause, TimeoutError):
        return "no answer within seconds"
    words = str(getattr(cause, "strerror", None) or cause) or type(cause).__name__
    line = " ".join("".join(c if c.isprintable() else " " for c in words).split())[:200]
    return f"the server answers {error.code} {line}" if isinstance(error, urllib.error.HTTPError) else line
