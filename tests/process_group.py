"""Starts several processes of a script that train together, for tests."""

from __future__ import annotations

import random
import socket
from pathlib import Path

from run_script import Forked

DEVICES = 4  # of all processes together, so that each batch is shared out alike however many there are


def start(number: int, name: str | Path, *arguments: object) -> list[Forked]:
    """Starts so many processes of a script; one alone works as one of several does."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    shared = f"--coordinator_address={address}", f"--num_processes={number}"
    devices = DEVICES // number
    return [Forked(name, *shared, f"--process_id={index}", *arguments, devices=devices) for index in range(number)]


def run(number: int, name: str | Path, *arguments: object) -> list[str]:
    """Runs them to the end; returns what each wrote on stdout."""
    processes = start(number, name, *arguments)
    ended = [process.communicate(timeout=900) for process in processes]
    assert [process.returncode for process in processes] == [0] * number, ended
    return [out for out, _ in ended]


class Pair:
    """Two processes, to be waited for or killed as a `subprocess.Popen`: a signal goes to one of them, by chance."""

    def __init__(self, name: str | Path, *arguments: object):
        self._processes = start(2, name, *arguments)
        self._signalled: Forked | None = None

    @property
    def returncode(self) -> int | None:
        if self._signalled is not None:
            return self._signalled.returncode
        return next((each.returncode for each in self._processes if each.returncode), 0)

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Waits for the end of both; returns what the first wrote, or the one that got a signal."""
        outputs = [each.communicate(timeout) for each in self._processes]
        return outputs[self._processes.index(self._signalled or self._processes[0])]

    def send_signal(self, number: int) -> None:
        self._signalled = random.choice(self._processes)
        self._signalled.send_signal(number)
