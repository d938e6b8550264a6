from __future__ import annotations

from pathlib import Path

import jax
import pytest
import toy


@pytest.fixture(scope="session", autouse=True)
def compile_each_program_once(tmp_path_factory):
    """Compiling is nearly all of the time that tiny runs take, and many tests run the same programs."""
    jax.config.update("jax_compilation_cache_dir", str(tmp_path_factory.mktemp("compiled")))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


@pytest.fixture(scope="session")
def toy_data(tmp_path_factory) -> Path:
    """The folder of a small `csv` data set."""
    return toy.write_csv(tmp_path_factory.mktemp("toy") / "data")
