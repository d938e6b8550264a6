"""The devices over which a single run shards its batches, as many of each process; on a CPU, one for each core."""

from __future__ import annotations

import os

import jax
from ml_collections import ConfigDict

from fmnist_jax.errors import ConfigError

# Per device, unless the user sets the number of devices: with fewer images, what every device repeats (the optimizer's
# step) and the communication cost more than sharding saves.
MIN_IMAGES_PER_DEVICE = 32

_NUM_DEVICES = "jax_num_cpu_devices"


def cores() -> int:
    """Returns how many of the host's cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def use_all_cores() -> bool:
    """Gives JAX a device for each core of the CPU, over which a run shards its batches; by default there is one.

    The operations of such small networks are too short for XLA to split one of them between cores. Call it before JAX
    computes anything. `JAX_NUM_CPU_DEVICES` and XLA's flag of the same meaning override it.

    **Returns:** whether it had an effect.
    """
    flags = os.environ.get("XLA_FLAGS", "")
    if getattr(jax.config, _NUM_DEVICES) >= 0 or "xla_force_host_platform_device_count" in flags:
        return False
    try:
        jax.config.update(_NUM_DEVICES, cores())
    except RuntimeError:  # JAX has started already
        return False
    return True


def for_training(config: ConfigDict) -> list[jax.Device]:
    """Returns the devices that `config.train.devices` asks for.

    **Raises:** `ConfigError` if there are fewer, or a batch cannot be sharded evenly, or not over all processes.
    """
    processes = jax.process_count()
    wanted, available = config.train.devices, processes * len(jax.local_devices())
    for key in ("devices", "batch_size"):
        if config.train[key] % processes:
            raise ConfigError(
                f"config.train.{key} must be a multiple of {processes}, the number of processes, not "
                f"{config.train[key]}"
            )
    if wanted > available:
        raise ConfigError(f"config.train.devices must be at most {available}, the number of devices here, not {wanted}")
    if wanted and config.train.batch_size % wanted:
        raise ConfigError(
            f"config.train.devices must divide config.train.batch_size, which is {config.train.batch_size}; "
            f"{wanted} does not"
        )
    return for_scoring(config)


def for_scoring(config: ConfigDict) -> list[jax.Device]:
    """Returns the devices that the run was trained on, so that its scores are the same; fewer if there are fewer."""
    local, processes, batch = jax.local_devices(), jax.process_count(), config.train.batch_size
    largest = max(1, min(config.train.devices or _max_devices(local[0], batch), processes * len(local)) // processes)
    each = max(number for number in range(1, largest + 1) if batch % (processes * number) == 0)
    if processes == 1:
        return local[:each]
    return [device for index in range(processes) for device in jax.local_devices(process_index=index)[:each]]


def _max_devices(device: jax.Device, batch: int) -> int:
    if device.platform == "cpu":
        return max(1, batch // MIN_IMAGES_PER_DEVICE)
    return 1 if jax.process_count() == 1 else jax.device_count()
