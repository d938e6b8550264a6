"""Compiled programs are kept in the user's cache, where it can be written."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import pytest

from fmnist_jax.runtime import compilation_cache


@pytest.fixture
def unset(monkeypatch, tmp_path):
    """JAX without a cache, the user's cache in a folder of the test's; as before afterwards."""
    names = ("jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs")
    before = {name: getattr(jax.config, name) for name in names}
    jax.config.update("jax_compilation_cache_dir", None)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    yield
    for name, value in before.items():
        jax.config.update(name, value)
    jax.experimental.compilation_cache.compilation_cache.reset_cache()


def test_programs_are_kept(unset, monkeypatch):
    monkeypatch.setattr(compilation_cache, "_LEAST_SECONDS", 0.0)
    folder = compilation_cache.enable()
    jax.experimental.compilation_cache.compilation_cache.reset_cache()
    jax.jit(lambda x: jnp.sin(x) * 41)(jnp.ones(3)).block_until_ready()
    assert folder is not None
    assert list(folder.iterdir())


def test_a_damaged_program_is_compiled_again_without_a_word(unset, monkeypatch):
    monkeypatch.setattr(compilation_cache, "_LEAST_SECONDS", 0.0)
    folder = compilation_cache.enable()
    for _ in range(2):
        jax.experimental.compilation_cache.compilation_cache.reset_cache()
        jax.clear_caches()
        assert jax.jit(lambda x: x * 43)(jnp.float32(2)) == 86
        assert folder is not None
        for file in folder.iterdir():
            file.write_bytes(file.read_bytes()[:20])


def test_a_folder_of_the_users_choice_is_left_alone(unset, tmp_path):
    jax.config.update("jax_compilation_cache_dir", str(tmp_path / "mine"))
    assert compilation_cache.enable() == tmp_path / "mine"


def test_without_a_place_to_write_there_is_none(unset, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert compilation_cache.enable() is None
    assert not jax.config.jax_compilation_cache_dir
