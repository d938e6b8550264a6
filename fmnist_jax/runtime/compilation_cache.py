"""Compiled programs kept on disk, so that the second run of a program starts at once."""

from __future__ import annotations

import hashlib
import os
import platform
import warnings
from pathlib import Path

import jax

_FOLDER = "jax_compilation_cache_dir"
_LEAST_SECONDS = 0.1  # programs that compile faster than this are not worth a file


def enable() -> Path | None:
    """Lets JAX keep compiled programs in a folder of the user's cache; call it before anything is compiled.

    The folder is `$XDG_CACHE_HOME/fmnist_jax` (`~/.cache` where that is not set), in it one for each kind of processor,
    since a program compiled for one may use instructions that another lacks. `$JAX_COMPILATION_CACHE_DIR` overrides it.

    **Returns:** the folder, or `None` where it cannot be written: then programs are compiled each time.
    """
    # What cannot be read there, as after a kill, or written, is compiled again: no news to a user.
    warnings.filterwarnings("ignore", "Error (reading|writing) persistent compilation cache entry")
    named = getattr(jax.config, _FOLDER)
    if named:
        return Path(named)
    folder = _cache_home() / "fmnist_jax" / f"xla-{_processor()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    if not os.access(folder, os.W_OK):
        return None
    jax.config.update(_FOLDER, str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", _LEAST_SECONDS)
    return folder


def _cache_home() -> Path:
    named = os.environ.get("XDG_CACHE_HOME")
    return Path(named) if named else Path(os.path.expanduser("~/.cache"))  # noqa: PTH111 (Path's own may raise)


def _processor() -> str:
    """A digest of the processor's kind and instruction sets."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    described = sorted({line for line in lines if line.startswith(("flags", "Features", "model name", "CPU part"))})
    return hashlib.sha256("\n".join([platform.machine(), platform.processor(), *described]).encode()).hexdigest()[:12]
