from __future__ import annotations

import jax
import jax.numpy as jnp
import pytest
from jax.experimental.compilation_cache.compilation_cache import reset_cache

from fmnist_jax.runtime import compiler


class _Program:
    """A lowered program that compiles to the options that it is given."""

    def compile(self, compiler_options):
        return compiler_options


@pytest.fixture
def set_config():
    """Sets an option of JAX for the test."""
    before = {}

    def update(name, value):
        before.setdefault(name, getattr(jax.config, name))
        jax.config.update(name, value)
        reset_cache()

    yield update
    for name, value in before.items():
        jax.config.update(name, value)
    reset_cache()


@pytest.fixture(autouse=True)
def fresh_options():
    compiler._options.cache_clear()
    yield
    compiler._options.cache_clear()


@pytest.mark.parametrize(("backend", "options"), [("cpu", {"xla_cpu_prefer_vector_width": 512}), ("tpu", {})])
def test_a_program_is_compiled_with_the_options_of_its_backend(backend, options, monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: backend)
    assert compiler.compile_lowered(_Program()) == options


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="the options are those of a CPU")
def test_the_compiled_program_has_the_options(monkeypatch, set_config):
    set_config("jax_enable_compilation_cache", False)
    lowered = jax.jit(lambda x: jnp.sin(x) + 1).lower(jnp.zeros(64))

    def serialized(compiled):
        return compiled.runtime_executable().serialize()

    compiled = compiler.compile_lowered(lowered)
    assert compiled(jnp.zeros(64)).tolist() == [1.0] * 64
    assert serialized(compiled) == serialized(lowered.compile({"xla_cpu_prefer_vector_width": 512}))
    assert serialized(compiled) != serialized(lowered.compile())


def test_the_users_flags_override_the_options(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_prefer_vector_width=128")
    monkeypatch.setattr(jax, "default_backend", lambda: "cpu")
    assert compiler.compile_lowered(_Program()) == {}


def test_an_option_that_this_xla_does_not_know_is_left_out(monkeypatch):
    monkeypatch.setitem(compiler.XLA_OPTIONS, "some", {"xla_cpu_no_such_option": True})
    monkeypatch.setattr(jax, "default_backend", lambda: "some")
    assert compiler.compile_lowered(_Program()) == {}


@pytest.fixture
def unset(monkeypatch, tmp_path, set_config):
    """JAX without a cache, and the user's cache in a folder of the test."""
    set_config("jax_persistent_cache_min_compile_time_secs", 0.0)  # to be restored
    set_config("jax_compilation_cache_dir", None)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_compiled_programs_are_cached(unset, monkeypatch):
    monkeypatch.setattr(compiler, "_MIN_COMPILE_SECONDS", 0.0)
    folder = compiler.enable_cache()
    reset_cache()
    jax.jit(lambda x: jnp.sin(x) * 41)(jnp.ones(3)).block_until_ready()
    assert folder is not None
    assert list(folder.iterdir())


def test_a_damaged_entry_is_compiled_again_without_a_warning(unset, monkeypatch):
    monkeypatch.setattr(compiler, "_MIN_COMPILE_SECONDS", 0.0)
    folder = compiler.enable_cache()
    for _ in range(2):
        reset_cache()
        jax.clear_caches()
        assert jax.jit(lambda x: x * 43)(jnp.float32(2)) == 86
        assert folder is not None
        for file in folder.iterdir():
            file.write_bytes(file.read_bytes()[:20])


def test_a_folder_of_the_users_choice_is_kept(unset, tmp_path, set_config):
    set_config("jax_compilation_cache_dir", str(tmp_path / "mine"))
    assert compiler.enable_cache() == tmp_path / "mine"


def test_there_is_no_cache_where_it_cannot_be_written(unset, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert compiler.enable_cache() is None
    assert not jax.config.jax_compilation_cache_dir
