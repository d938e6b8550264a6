"""Which devices a run alone is spread over; on a CPU, a device for each core."""

from __future__ import annotations

import os

import jax
from ml_collections import ConfigDict

from fmnist_jax.errors import ConfigError

# Of a batch on each device, where it is not the user who says how many devices: with fewer, what they all do alike (the
# optimizer's step) and what they tell each other take longer than what is saved.
MIN_IMAGES_PER_DEVICE = 32

_NUMBER = "jax_num_cpu_devices"


def cores() -> int:
    """Returns how many of the host's cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def use_all_cores() -> bool:
    """Gives JAX a device for each core of the CPU, over which a run spreads its batches; else there is but one.

    The operations of such small networks are too short for XLA to share one of them between cores. It has to be called
    before JAX computes anything, and gives way to `JAX_NUM_CPU_DEVICES` and to XLA's flag of the same meaning.

    **Returns:** whether it had an effect.
    """
    if getattr(jax.config, _NUMBER) >= 0 or "xla_force_host_platform_device_count" in os.environ.get("XLA_FLAGS", ""):
        return False
    try:
        jax.config.update(_NUMBER, cores())
    except RuntimeError:  # JAX has started
        return False
    return True


def for_training(config: ConfigDict) -> list[jax.Device]:
    """Returns the devices that `config.train.devices` asks for.

    **Raises:** `ConfigError` where there are not so many, or a batch cannot be shared evenly between them.
    """
    wanted, there = config.train.devices, len(jax.local_devices())
    if wanted > there:
        raise ConfigError(f"config.train.devices must be at most {there}, the number of devices here, not {wanted}")
    if wanted and config.train.batch_size % wanted:
        raise ConfigError(
            f"config.train.devices must divide config.train.batch_size, which is {config.train.batch_size}; "
            f"{wanted} does not"
        )
    return for_scoring(config)


def for_scoring(config: ConfigDict) -> list[jax.Device]:
    """Returns the devices that the run was trained on, so that its scores are the same ones; fewer where there are."""
    there, batch = jax.local_devices(), config.train.batch_size
    most = min(config.train.devices or _most(there[0], batch), len(there))
    return there[: max(number for number in range(1, most + 1) if batch % number == 0)]


def _most(device: jax.Device, batch: int) -> int:
    return max(1, batch // MIN_IMAGES_PER_DEVICE) if device.platform == "cpu" else 1
