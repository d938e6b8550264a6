"""Compiler options for each backend, and compiled programs cached on disk."""

from __future__ import annotations

import functools
import hashlib
import os
import platform
import warnings
from pathlib import Path
from typing import Any

import jax
from jax.stages import Compiled, Lowered

# LLVM defaults to 256-bit vectors; 512-bit ones are 3 to 9 % faster on newer CPUs, and harmless on those without them.
XLA_OPTIONS: dict[str, dict[str, Any]] = {"cpu": {"xla_cpu_prefer_vector_width": 512}}

_CACHE_DIR = "jax_compilation_cache_dir"
_MIN_COMPILE_SECONDS = 0.1  # a program that compiles faster is not worth a file


def compile_lowered(program: Lowered) -> Compiled:
    """Compiles a program with the options of the default backend."""
    return program.compile(compiler_options=_options(jax.default_backend()))


def enable_cache() -> Path | None:
    """Has JAX cache compiled programs in a folder of the user's cache; call it before anything is compiled.

    The folder is `$XDG_CACHE_HOME/fmnist_jax` (by default in `~/.cache`), with a subfolder for each kind of processor,
    since a program compiled for one may use instructions that another lacks. `$JAX_COMPILATION_CACHE_DIR` overrides it.

    **Returns:** the folder, or `None` if it cannot be written: then programs are compiled each time.
    """
    # An entry that cannot be read, as after a kill, or written, only costs time: the program is compiled again.
    warnings.filterwarnings("ignore", "Error (reading|writing) persistent compilation cache entry")
    configured = getattr(jax.config, _CACHE_DIR)
    if configured:
        return Path(configured)
    folder = _cache_home() / "fmnist_jax" / f"xla-{_processor()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    if not os.access(folder, os.W_OK):
        return None
    jax.config.update(_CACHE_DIR, str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", _MIN_COMPILE_SECONDS)
    return folder


def disable_cache() -> None:
    """Has JAX compile each program anew, for the time that it takes; call it before anything is compiled."""
    jax.config.update("jax_enable_compilation_cache", False)


@functools.cache
def _options(backend: str) -> dict[str, Any]:
    """Returns the options for a backend without those that the user has set; none if this XLA does not know them."""
    flags = os.environ.get("XLA_FLAGS", "")
    options = {name: value for name, value in XLA_OPTIONS.get(backend, {}).items() if name not in flags}
    if not options:
        return {}
    try:
        jax.jit(lambda: 0).lower().compile(compiler_options=options)
    except jax.errors.JaxRuntimeError:
        return {}
    return options


def _cache_home() -> Path:
    configured = os.environ.get("XDG_CACHE_HOME")
    return Path(configured) if configured else Path(os.path.expanduser("~/.cache"))  # noqa: PTH111 (Path's may raise)


def _processor() -> str:
    """A digest of the processor's kind and instruction sets."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    described = sorted({line for line in lines if line.startswith(("flags", "Features", "model name", "CPU part"))})
    return hashlib.sha256("\n".join([platform.machine(), platform.processor(), *described]).encode()).hexdigest()[:12]
