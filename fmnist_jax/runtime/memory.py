"""Free memory of the devices, and the memory that arrays and compiled programs take."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
from jax.stages import Compiled

# The rest is a margin for what the compiler does not count and for fragmentation; on the host also for other processes.
SHARE_OF_DEVICE = 0.9
_SHARE_OF_HOST = 0.7
# The files of a container's limit in versions 2 and 1 of Linux's control groups: limit, usage, statistics, and in these
# the part of the usage that the kernel can reclaim.
_CONTROL_GROUPS = (
    ("memory.max", "memory.current", "memory.stat", "inactive_file"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat", "total_inactive_file"),
)


def available_bytes(devices: Sequence[jax.Device]) -> int:
    """Returns the bytes free on each of `devices`, less a margin; on a CPU they share the host's memory."""
    return int(min(_available_bytes(device, len(devices)) for device in devices))


def tree_nbytes(tree: Any) -> int:
    """Returns the size in bytes of the arrays of a tree, or of their shapes."""
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


def program_nbytes(program: Compiled) -> int:
    """Returns the bytes that a program needs on each device while it runs, beside its arguments."""
    analysis: Any = program.memory_analysis()
    outputs = analysis.output_size_in_bytes - analysis.alias_size_in_bytes
    return int(analysis.temp_size_in_bytes + outputs + analysis.generated_code_size_in_bytes)


def format_bytes(number: float) -> str:
    """Returns a number of bytes as text, such as `"1.5 GiB"`."""
    return f"{number / 2**30:.2g} GiB" if number >= 2**30 / 10 else f"{number / 2**20:.2g} MiB"


def _available_bytes(device: jax.Device, devices: int) -> float:
    stats = device.memory_stats()
    if stats and "bytes_limit" in stats:
        return SHARE_OF_DEVICE * (stats["bytes_limit"] - stats["bytes_in_use"])
    return _SHARE_OF_HOST * host_bytes() / devices


def host_bytes(root: Path = Path("/")) -> int:
    """Returns the bytes of the host's memory that are free or reclaimable; all of it if that is unknown."""
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    meminfo = root / "proc/meminfo"
    found = re.search(r"MemAvailable:\s+(\d+) kB", meminfo.read_text()) if meminfo.exists() else None
    free = 1024 * int(found[1]) if found else total
    return min(free, *(_container_bytes(root / "sys/fs/cgroup", *files) or free for files in _CONTROL_GROUPS))


def _container_bytes(folder: Path, limit: str, used: str, statistics: str, reclaimable: str) -> int | None:
    """The memory left to a container; `None` if it has no limit."""
    if not (folder / limit).exists() or (folder / limit).read_text().strip() == "max":
        return None
    found = re.search(rf"^{reclaimable} (\d+)$", (folder / statistics).read_text(), re.MULTILINE)
    used_bytes = int((folder / used).read_text()) - (int(found[1]) if found else 0)
    return max(1, int((folder / limit).read_text()) - used_bytes)
