"""Starts several processes of a script that train together, for tests."""

from __future__ import annotations

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
    ended = [process.communicate(timeout=300) for process in processes]
    assert [process.returncode for process in processes] == [0] * number, ended
    return [out for out, _ in ended]
