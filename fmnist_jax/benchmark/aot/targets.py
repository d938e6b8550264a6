"""What to compile for: TPU slices and GPUs, which need not be there, and this machine's CPU."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Sequence

import jax
from jax.experimental import topologies
from jax.stages import Compiled, Lowered

from fmnist_jax.errors import ConfigError, unknown_name
from fmnist_jax.runtime import compiler


@dataclasses.dataclass(frozen=True)
class Chip:
    """The published rates of a device.

    **Attributes:**

    - `flops_per_second`: by `config.precision`, of matrix products as JAX computes them by default: on a TPU one pass
      of bfloat16 for either precision, on a GPU TF32 for float32.
    - `bytes_per_second`, `memory_bytes`: of the device's memory.
    """

    flops_per_second: dict[str, float]
    bytes_per_second: float
    memory_bytes: float


def _tpu(tflops: float, gb_per_second: float, gb: float) -> Chip:
    return Chip({"float32": tflops * 1e12, "bfloat16": tflops * 1e12}, gb_per_second * 1e9, gb * 1e9)


# TPUs: cloud.google.com/tpu/docs/v5e, v5p and v6e, "Peak compute per chip (bf16)", "HBM capacity and bandwidth".
# H100 SXM5: "NVIDIA H100 Tensor Core GPU Architecture", dense rates, without sparsity.
CHIPS = {
    "tpu-v5e": _tpu(197, 819, 16),
    "tpu-v5p": _tpu(459, 2765, 95),
    "tpu-v6e": _tpu(918, 1600, 32),
    "gpu-h100": Chip({"float32": 494.7e12, "bfloat16": 989.4e12}, 3.352e12, 80e9),
}
CPU = "cpu"
# Chips along each axis of the interconnect, or GPUs of a host: few, but several, to show any communication.
_TOPOLOGIES = {"tpu-v5e": "2x2", "tpu-v5p": "2x2x1", "tpu-v6e": "2x2", "gpu-h100": "4"}

# What CUDA reports of an H100 SXM5 (deviceQuery), as XLA's text format of a GPU wants it.
_H100 = """
gpu_device_info {
  cuda_compute_capability { major: 9 minor: 0 }
  core_count: 132 fpus_per_core: 128 clock_rate_ghz: 1.98
  memory_bandwidth: 3352320000000 device_memory_size: 85045477376 l2_cache_size: 52428800
  threads_per_block_limit: 1024 threads_per_warp: 32 threads_per_core_limit: 2048
  shared_memory_per_block: 49152 shared_memory_per_block_optin: 232448 shared_memory_per_core: 233472
  registers_per_core_limit: 65536 registers_per_block_limit: 65536
  block_dim_limit_x: 2147483647 block_dim_limit_y: 65535 block_dim_limit_z: 65535
}
platform_name: "CUDA"
dnn_version_info { major: 9 minor: 8 }
runtime_version { major: 13 }
device_description_str: "NVIDIA H100 80GB HBM3"
"""


# libtpu otherwise asks the machine, and then Google's metadata server, what TPU it has, and locks it.
_WITHOUT_TPU = {
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
    "TPU_SKIP_MDS_QUERY": "1",
    "TPU_ACCELERATOR_TYPE": "v5litepod-4",
    "TPU_WORKER_HOSTNAMES": "localhost",
}


@dataclasses.dataclass(frozen=True)
class Target:
    """Devices to compile for.

    **Attributes:**

    - `name`: as `parse` takes it, complete; `chip`: `None` for the CPU.
    - `devices`: they cannot compute, but for the CPU.
    - `compile`: for them.
    """

    name: str
    chip: Chip | None
    devices: Sequence[jax.Device]
    compile: Callable[[Lowered], Compiled]


def parse(text: str) -> Target:
    """Returns the target `KIND` or `KIND:TOPOLOGY`, such as `cpu`, `gpu-h100:8`, `tpu-v5e:2x2`.

    **Raises:** `ConfigError` for an unknown kind or topology, or where the compiler for it is not installed.
    """
    kind, _, topology = text.partition(":")
    if kind not in (*CHIPS, CPU) or (kind == CPU and topology):
        raise unknown_name("--target", text, [*(f"{each}:{_TOPOLOGIES[each]}" for each in CHIPS), CPU])
    if kind == CPU:
        return Target(CPU, None, jax.devices()[:1], compiler.compile_lowered)
    topology = topology or _TOPOLOGIES[kind]
    return Target(f"{kind}:{topology}", CHIPS[kind], _devices(kind, topology), lambda lowered: lowered.compile())


def _devices(kind: str, topology: str) -> Sequence[jax.Device]:
    platform, _, name = kind.partition("-")
    try:
        if platform == "tpu":
            os.environ.update(_WITHOUT_TPU)
            return topologies.get_topology_desc(f"{name}:{topology}", "tpu").devices
        return topologies.get_topology_desc("", "cuda", target_config=_H100, topology=f"1x1x{topology}").devices
    except jax.errors.JaxRuntimeError as error:
        raise ConfigError(f"--target={kind}:{topology} cannot be compiled for: {error}") from None
    except RuntimeError as error:
        problem = f"--target={kind} needs a compiler that is not installed ({error})"
        raise ConfigError(f"{problem}; scripts/aot.sh makes an environment that has it") from None
