"""Streams a URL without ever hanging: the caller gets bytes or an error within seconds."""

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
_QUEUE_SIZE = 64  # chunks read ahead


@dataclasses.dataclass(frozen=True)
class Limits:
    """How long a download may take.

    **Attributes:**

    - `timeout`: seconds to wait for a connection, and for each answer of the server.
    - `deadline`: the latest time, of `time.monotonic`, at which it must be complete.
    """

    timeout: float = 5.0
    deadline: float = float("inf")


def chunks(url: str, limits: Limits) -> Iterator[bytes]:
    """Yields the content of `url` (http or https; proxies from the environment) in chunks of at most 16 KiB.

    **Raises:** `OSError`, with a reason to show, where the server cannot be reached, refuses, stalls (no chunk within
    `2 * limits.timeout` seconds, DNS look-up included) or does not finish by the deadline. Never retries.
    """
    # A socket's timeout covers neither DNS look-up nor a server that sends byte by byte, and starts again for each
    # address of the host: hence a thread, which may outlive this call.
    received: queue.Queue[bytes | Exception] = queue.Queue(_QUEUE_SIZE)
    threading.Thread(target=_pump, args=(url, limits.timeout, received), daemon=True).start()
    seconds = 2 * limits.timeout
    while True:
        try:
            chunk = received.get(timeout=seconds)
        except queue.Empty:
            raise TimeoutError(f"no answer within {seconds:g} seconds") from None
        if isinstance(chunk, Exception):
            raise OSError(_reason(chunk)) from chunk
        if not chunk:
            return
        if time.monotonic() > limits.deadline:
            raise TimeoutError("it is too slow")
        yield chunk


def _pump(url: str, timeout: float, received: queue.Queue[bytes | Exception]) -> None:
    """Puts the chunks of `url` into `received`, then `b""` or the error; stops when nobody reads them."""
    with contextlib.suppress(queue.Full):
        try:
            with urllib.request.urlopen(url, timeout=timeout) as response:
                while chunk := response.read(_CHUNK):
                    received.put(chunk, timeout=2 * timeout)
            received.put(b"", timeout=2 * timeout)
        except (OSError, http.client.HTTPException, ValueError) as error:
            if isinstance(error, urllib.error.HTTPError):
                error.close()  # an HTTPError is also the open response
            received.put(error, timeout=2 * timeout)


def _reason(error: Exception) -> str:
    """Returns what went wrong in one line, cleaned of unprintable characters: the server may have sent it."""
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(cause, TimeoutError):
        return "no answer within seconds"
    words = str(getattr(cause, "strerror", None) or cause) or type(cause).__name__
    line = " ".join("".join(c if c.isprintable() else " " for c in words).split())[:200]
    return f"the server answers {error.code} {line}" if isinstance(error, urllib.error.HTTPError) else line
