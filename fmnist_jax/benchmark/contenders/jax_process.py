"""What the contenders on JAX share."""

from __future__ import annotations

from importlib import metadata

import jax


def device() -> str:
    """Returns the kind of the device that computes."""
    return jax.devices()[0].device_kind


def device_memory() -> int | None:
    """Returns the peak of memory taken on an accelerator, in bytes; `None` on a CPU, which counts nothing itself."""
    return (jax.devices()[0].memory_stats() or {}).get("peak_bytes_in_use")


def versions() -> dict[str, str]:
    """Returns the versions of JAX and Flax."""
    return {name: metadata.version(name) for name in ("jax", "jaxlib", "flax")}
