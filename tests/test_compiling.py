"""Options of the compiler are given where it knows them."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from fmnist_jax import compiling


def test_a_program_is_compiled_with_the_options_of_its_backend():
    assert compiling._options("cpu") == {"xla_cpu_use_fusion_emitters": False}
    assert compiling._options("tpu") == {}
    program = jax.jit(lambda x: jnp.sin(x) + 1).lower(0.0)
    assert compiling.compiled(program)(0.0) == 1.0


def test_a_program_that_trains_many_parameters_is_compiled_without():
    class Program:
        def compile(self, compiler_options):
            return compiler_options

    few, many = (compiling.compiled(Program(), trained=number) for number in (10**6 - 1, 10**6))
    assert few == compiling._options(jax.default_backend())
    assert many == {}


def test_an_option_that_this_compiler_does_not_know_is_left_out(monkeypatch):
    monkeypatch.setitem(compiling._WISHES, "some", {"xla_cpu_no_such_option": True})
    assert compiling._options("some") == {}
