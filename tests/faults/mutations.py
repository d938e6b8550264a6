"""Damage to the content of a file, drawn at random: what a disk, a broken download or an editor can do, and worse."""

from __future__ import annotations

import random

_TOKENS = (
    b"NaN",
    b"1e999",
    b"-1",
    b"9" * 400,
    b"null",
    b"[]",
    b"{}",
    b'""',
    b"true",
    b"\\ud800",
    b"\xff",
    b"\0",
    b"0.5",
)


def damaged(content: bytes, rng: random.Random) -> bytes:
    """Returns the content truncated, zeroed, with flipped bits, other bytes, or parts lost, doubled or replaced."""
    return rng.choice((_truncated, _zeroed, _flipped, _overwritten, _cut, _doubled, _replaced, _extended))(content, rng)


def _truncated(content: bytes, rng: random.Random) -> bytes:
    return content[: _place(content, rng)]


def _zeroed(content: bytes, rng: random.Random) -> bytes:
    a, b = sorted((_place(content, rng), _place(content, rng)))
    return content[:a] + bytes(b - a) + content[b:]


def _flipped(content: bytes, rng: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(rng.choice((1, 1, 1, 8)) if content else 0):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _overwritten(content: bytes, rng: random.Random) -> bytes:
    size = rng.choice((1, 2, 4, 8))
    at = min(_place(content, rng), 64) if rng.random() < 0.5 else _place(content, rng)  # headers matter most
    return (
        content[:at]
        + rng.choice((b"\xff" * size, b"\x7f" + b"\xff" * (size - 1), rng.randbytes(size)))
        + content[at + size :]
    )


def _cut(content: bytes, rng: random.Random) -> bytes:
    a, b = sorted((_place(content, rng), _place(content, rng)))
    return content[:a] + content[b:]


def _doubled(content: bytes, rng: random.Random) -> bytes:
    a, b = sorted((_place(content, rng), _place(content, rng)))
    return content[:b] + content[a:]


def _replaced(content: bytes, rng: random.Random) -> bytes:
    """A word, in text a number, a name or a string, is replaced by one that fits badly."""
    separators = [i for i, byte in enumerate(content[:4096]) if byte in b' ,:"{}[]\n\t']
    if len(separators) < 2:
        return rng.choice(_TOKENS) + content
    at = rng.randrange(len(separators) - 1)
    return content[: separators[at] + 1] + rng.choice(_TOKENS) + content[separators[at + 1] :]


def _extended(content: bytes, rng: random.Random) -> bytes:
    return content + rng.randbytes(rng.randrange(1, 50))


def _place(content: bytes, rng: random.Random) -> int:
    return rng.randint(0, len(content))
