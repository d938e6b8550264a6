"""What the machine has, cores and memory, and what a compiled program takes of it."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
from jax.stages import Compiled

# The rest is for what the compiler does not count, and for holes between arrays; on the host also for everyone else.
_SHARE_OF_DEVICE = 0.9
_SHARE_OF_HOST = 0.7
# Of a container, as versions 2 and 1 of Linux's control groups have it: limit, use, what of the use may be dropped.
_CONTROL_GROUPS = (
    ("memory.max", "memory.current", "memory.stat", "inactive_file"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat", "total_inactive_file"),
)


def available_bytes(devices: Sequence[jax.Device]) -> int:
    """Returns how many bytes may be taken on each of `devices`, with a margin; on a CPU they share the host's."""
    return int(min(_available_bytes(device, len(devices)) for device in devices))


def tree_nbytes(tree: Any) -> int:
    """Returns how many bytes the arrays of a tree, or the shapes of some, take."""
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


def program_nbytes(program: Compiled) -> int:
    """Returns how many bytes a program takes on each device while it runs, beside its arguments."""
    analysis: Any = program.memory_analysis()
    written = analysis.output_size_in_bytes - analysis.alias_size_in_bytes
    return int(analysis.temp_size_in_bytes + written + analysis.generated_code_size_in_bytes)


def format_bytes(number: float) -> str:
    """Returns a number of bytes in words."""
    return f"{number / 2**30:.2g} GiB" if number >= 2**30 / 10 else f"{number / 2**20:.2g} MiB"


def _available_bytes(device: jax.Device, devices: int) -> float:
    found = device.memory_stats()
    if found and "bytes_limit" in found:
        return _SHARE_OF_DEVICE * (found["bytes_limit"] - found["bytes_in_use"])
    return _SHARE_OF_HOST * host_bytes() / devices


def host_bytes(root: Path = Path("/")) -> int:
    """Returns how many bytes of the host's memory are free or could be at once; all of it where that is unknown."""
    whole = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    meminfo = root / "proc/meminfo"
    found = re.search(r"MemAvailable:\s+(\d+) kB", meminfo.read_text()) if meminfo.exists() else None
    free = 1024 * int(found[1]) if found else whole
    return min(free, *(_left(root / "sys/fs/cgroup", *files) or free for files in _CONTROL_GROUPS))


def _left(folder: Path, limit: str, used: str, statistics: str, droppable: str) -> int | None:
    """What is left of a container's memory; `None` where it is not limited."""
    if not (folder / limit).exists() or (folder / limit).read_text().strip() == "max":
        return None
    found = re.search(rf"^{droppable} (\d+)$", (folder / statistics).read_text(), re.MULTILINE)
    taken = int((folder / used).read_text()) - (int(found[1]) if found else 0)
    return max(1, int((folder / limit).read_text()) - taken)
