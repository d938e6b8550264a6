"""Options of the compiler that suit the backend, given program by program."""

from __future__ import annotations

import functools
import os
from typing import Any

import jax
from jax.stages import Compiled, Lowered

# LLVM keeps to half of the widest registers, for early processors that slowed down where the whole of them were used.
# On a later one, steps take 3 to 6 % less with all of it, evaluation 3 to 9 %. What is not there is not asked for.
XLA_OPTIONS: dict[str, dict[str, Any]] = {"cpu": {"xla_cpu_prefer_vector_width": 512}}


def compile_lowered(program: Lowered) -> Compiled:
    """Compiles a program for the default backend."""
    return program.compile(compiler_options=_options(jax.default_backend()))


@functools.cache
def _options(backend: str) -> dict[str, Any]:
    """Returns the options for a backend but those that the user has set; none where this XLA does not know them."""
    given = os.environ.get("XLA_FLAGS", "")
    wanted = {name: value for name, value in XLA_OPTIONS.get(backend, {}).items() if name not in given}
    if not wanted:
        return {}
    try:
        jax.jit(lambda: 0).lower().compile(compiler_options=wanted)
    except jax.errors.JaxRuntimeError:
        return {}
    return wanted
