from __future__ import annotations

import os
import signal
from pathlib import Path

import hypothesis
import jax
import pytest
import toy
from ml_collections import ConfigDict

from fmnist_jax.train.loop import train

# How long an example takes is the machine's business, and says nothing of the code.
hypothesis.settings.register_profile("suite", deadline=None)
hypothesis.settings.load_profile("suite")


# LLVM's optimization is most of the time that compiling takes, and most programs here run once or twice.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")

# A shell's background ignores SIGINT, which tests send.
signal.signal(signal.SIGINT, signal.default_int_handler)


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


@pytest.fixture(scope="session")
def finished_config(toy_data) -> ConfigDict:
    """The config of `finished`: with a validation split, scored on the test set."""
    return toy.toy_config(toy_data, data__val_examples=11, train__score_test=True)


@pytest.fixture(scope="session")
def finished(tmp_path_factory, finished_config) -> Path:
    """The workdir of a finished run; not to be changed."""
    workdir = tmp_path_factory.mktemp("finished") / "deep" / "run"
    train(finished_config, workdir)
    return workdir
