from __future__ import annotations

from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

from fmnist_jax.runtime import memory

GIB = 2**30


class _Device:
    """A device whose memory JAX knows."""

    def __init__(self, limit: int, used: int):
        self._stats = {"bytes_limit": limit, "bytes_in_use": used}

    def memory_stats(self):
        return self._stats


def _host(folder: Path, **files: str) -> Path:
    """A root with files whose names have `__` for the slash and `_` for the dot."""
    for name, text in {"proc__meminfo": f"MemFree: 1 kB\nMemAvailable:  {8 * 2**20} kB\n", **files}.items():
        file = folder / name.replace("__", "/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return folder


def test_the_free_memory_of_a_host(tmp_path):
    assert memory.host_bytes(_host(tmp_path)) == 8 * GIB


@pytest.mark.parametrize(
    ("limit", "used", "statistics"),
    [
        ("memory.max", "memory.current", "memory.stat"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat"),
    ],
)
def test_a_container_has_what_its_limit_leaves(tmp_path, limit, used, statistics):
    total = "total_" if "/" in limit else ""
    contents = {limit: f"{4 * GIB}\n", used: f"{3 * GIB}\n", statistics: f"anon 5\n{total}inactive_file {GIB}\n"}
    root = _host(tmp_path, **{f"sys/fs/cgroup/{name}": text for name, text in contents.items()})
    assert memory.host_bytes(root) == 2 * GIB


def test_a_container_without_a_limit_has_the_hosts_memory(tmp_path):
    unlimited = {"memory.max": "max\n", "memory/memory.limit_in_bytes": f"{2**63 - 4096}\n"}
    rest = {"memory/memory.usage_in_bytes": f"{3 * GIB}\n", "memory/memory.stat": ""}
    root = _host(tmp_path, **{f"sys/fs/cgroup/{name}": text for name, text in (unlimited | rest).items()})
    assert memory.host_bytes(root) == 8 * GIB


def test_the_free_memory_of_an_accelerator_less_a_margin():
    roomy, full = _Device(10 * GIB, 0), _Device(10 * GIB, 9 * GIB)
    assert 8 * GIB < memory.available_bytes([roomy]) < 10 * GIB
    assert 0.8 * GIB < memory.available_bytes([roomy, full]) < GIB


def test_on_a_cpu_devices_share_the_hosts_memory():
    (device,) = jax.devices("cpu")[:1]
    whole = memory.available_bytes([device])
    assert 0 < whole < memory.host_bytes() * 1.1
    assert memory.available_bytes([device] * 4) == pytest.approx(whole / 4, rel=0.2)


def test_the_memory_of_a_program_is_its_outputs_and_its_workspace():
    x = jnp.ones((1000, 1000), jnp.float32)
    assert memory.tree_nbytes({"x": x, "y": (jnp.zeros(3, jnp.uint8),)}) == 4_000_003
    made = jax.jit(lambda x: x + 1).lower(x).compile()
    assert 4_000_000 <= memory.program_nbytes(made) < 5_000_000
    donated = jax.jit(lambda x: x + 1, donate_argnums=0).lower(x).compile()
    assert memory.program_nbytes(donated) < 1_000_000


def test_bytes_as_text():
    assert [memory.format_bytes(n) for n in (3 * GIB, 0.5 * GIB, 2**20, 0)] == ["3 GiB", "0.5 GiB", "1 MiB", "0 MiB"]
