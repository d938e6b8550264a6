"""Options of the compiler are given where it knows them."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from fmnist_jax import compiling


def test_a_program_is_compiled_with_the_options_of_its_backend():
    assert compiling._options("cpu") == {"xla_cpu_use_fusion_emitters": False}
    assert compiling._options("tpu") == {}
    program = jax.jit(lambda x: jnp.sin(x) + 1).lower(0.0)
    assert compiling.compiled(program, parameters=1)(0.0) == compiling.compiled(program, parameters=10**7)(0.0) == 1.0


def test_an_option_that_this_compiler_does_not_know_is_left_out(monkeypatch):
    monkeypatch.setitem(compiling._WISHES, "some", {"xla_cpu_no_such_option": True})
    assert compiling._options("some") == {}
