"""Options of the compiler that suit the backend, given program by program."""

from __future__ import annotations

import functools
from typing import Any

import jax
from jax.stages import Compiled, Lowered

# XLA's newer emitters of fused elementwise operations do not vectorise the strided, small slices of which Winograd's
# transforms consist: model 3's second convolution, with its gradient, takes 11.5 ms with them, 8.8 with the older ones.
_WISHES: dict[str, dict[str, Any]] = {"cpu": {"xla_cpu_use_fusion_emitters": False}}
# The older ones do not vectorise what overwrites its own input, as an optimizer's step does: 3.5 ns a parameter with
# Adam, 1.2 with the newer ones. From so many parameters on that weighs more.
_MANY_PARAMETERS = 10**6


def compiled(program: Lowered, trained: int = 0) -> Compiled:
    """Compiles a program, which trains so many parameters, for the default backend."""
    wished = trained < _MANY_PARAMETERS
    return program.compile(compiler_options=_options(jax.default_backend()) if wished else {})


@functools.cache
def _options(backend: str) -> dict[str, Any]:
    """Returns the options for a backend; none where this version of XLA does not know them."""
    wishes = _WISHES.get(backend)
    if not wishes:
        return {}
    try:
        jax.jit(lambda: 0).lower().compile(compiler_options=wishes)
    except jax.errors.JaxRuntimeError:
        return {}
    return wishes
