"""Runs sharded over devices: with four of them in another process, `on_four_devices.py`; the rest is tested here."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
import toy

from fmnist_jax.errors import ConfigError
from fmnist_jax.runtime import batch_sharding, devices
from fmnist_jax.runtime.devices import cores
from fmnist_jax.train.loop import train

FOLDER = Path(__file__).parent


def _python(*arguments: object, **settings: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if name not in ("XLA_FLAGS", "JAX_NUM_CPU_DEVICES")}
    settings = kept | {"JAX_PLATFORMS": "cpu", "PYTHONPATH": str(FOLDER.parent)} | settings
    return subprocess.run([sys.executable, *map(str, arguments)], env=settings, capture_output=True, text=True)


def test_on_four_devices():
    settings = {"JAX_NUM_CPU_DEVICES": "4", "XLA_FLAGS": "--xla_backend_optimization_level=0"}  # compiled in a hurry
    done = _python("-m", "pytest", "-q", "-p", "no:cacheprovider", FOLDER / "on_four_devices.py", **settings)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("settings", "number"),
    [({}, cores()), ({"JAX_NUM_CPU_DEVICES": "3"}, 3), ({"XLA_FLAGS": "--xla_force_host_platform_device_count=3"}, 3)],
)
def test_a_device_for_each_core_unless_the_user_says_how_many(settings, number):
    code = "import jax; from fmnist_jax import use_all_cores; print(use_all_cores(), len(jax.devices()))"
    done = _python("-c", code, **settings)
    assert done.stdout.split() == [str(not settings), str(number)], done.stderr


def test_when_jax_has_started_it_is_too_late():
    before = jax.devices()
    assert not devices.use_all_cores()
    assert jax.devices() == before


def test_without_a_mesh_nothing_is_spread():
    x = np.ones((4, 2))
    assert batch_sharding.num_shards() == 1
    assert batch_sharding.shard_batch(x) is x
    assert batch_sharding.shard_map_batch(lambda *arguments: arguments, (x,), (2,)) == (x, 2)


def test_more_devices_than_there_are_leave_nothing_behind(tmp_path, toy_data):
    config = toy.toy_config(toy_data, train__devices=10**6, train__batch_size=1)
    with pytest.raises(ConfigError, match=r"config\.train\.devices must be at most \d+, the number of devices here"):
        train(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()
