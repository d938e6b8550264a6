"""Reads TensorBoard's event files, without TensorFlow, as TensorBoard shows them."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

from tensorboardX.proto import event_pb2


def read(folder: Path) -> dict[str, dict[int, float]]:
    """Returns tag -> step -> value; a restart at step n hides what was written from n on before it."""
    scalars: dict[str, dict[int, float]] = {}
    for event in _events(folder):
        if event.session_log.status == event_pb2.SessionLog.START:
            for tag, steps in scalars.items():
                scalars[tag] = {step: value for step, value in steps.items() if step < event.step}
        for value in event.summary.value:
            steps = scalars.setdefault(value.tag, {})
            assert event.step not in steps, f"{value.tag} has step {event.step} twice"
            steps[event.step] = value.simple_value
    return scalars


def _events(folder: Path) -> Iterator[event_pb2.Event]:
    """Yields events as they were written. A record: length, its checksum, that many bytes, their checksum."""
    for path in sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime_ns):
        content = path.read_bytes()
        while len(content) >= 16:
            (length,) = struct.unpack("<Q", content[:8])
            if len(content) < 16 + length:  # still being written
                break
            yield event_pb2.Event.FromString(content[12 : 12 + length])
            content = content[16 + length :]
