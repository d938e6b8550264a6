"""Options of the compiler are given where it knows them."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import pytest

from fmnist_jax.runtime import compiler


class _Program:
    def compile(self, compiler_options):
        return compiler_options


@pytest.mark.parametrize(("backend", "options"), [("cpu", {"xla_cpu_prefer_vector_width": 512}), ("tpu", {})])
def test_a_program_is_compiled_with_the_options_of_its_backend(backend, options, monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: backend)
    assert compiler.compile_lowered(_Program()) == options


def test_what_the_user_says_stands(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_prefer_vector_width=128")
    monkeypatch.setattr(jax, "default_backend", lambda: "cpu")
    compiler._options.cache_clear()
    assert compiler.compile_lowered(_Program()) == {}
    compiler._options.cache_clear()


def test_this_compiler_takes_them():
    assert compiler.compile_lowered(jax.jit(lambda x: jnp.sin(x) + 1).lower(0.0))(0.0) == 1.0


def test_an_option_that_this_compiler_does_not_know_is_left_out(monkeypatch):
    monkeypatch.setitem(compiler._WISHES, "some", {"xla_cpu_no_such_option": True})
    monkeypatch.setattr(jax, "default_backend", lambda: "some")
    assert compiler.compile_lowered(_Program()) == {}
