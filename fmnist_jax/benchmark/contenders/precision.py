"""In which precision JAX multiplies arrays of float32."""

from __future__ import annotations

import jax

from fmnist_jax.benchmark.architecture import Precision
from fmnist_jax.benchmark.task import Unavailable

# JAX's names for them; see `jax.lax.Precision` for what backends make of these.
_OF_PRODUCTS = {"float32": "float32", "tf32": "tensorfloat32"}


def compute_in(precision: Precision) -> None:
    """Sets it for this process; empty or `"bfloat16"` leaves float32 to the backend.

    **Raises:** `Unavailable` for TF32 where the device has none, which JAX would silently take for float32.
    """
    device = jax.devices()[0]
    if precision == "tf32" and not _has_tf32(device):
        raise Unavailable(f"{device.device_kind} has no TF32")
    if precision in _OF_PRODUCTS:
        jax.config.update("jax_default_matmul_precision", _OF_PRODUCTS[precision])


def _has_tf32(device: jax.Device) -> bool:
    """NVIDIA's GPUs have it from compute capability 8.0 on, nothing else does."""
    major = str(getattr(device, "compute_capability", "")).partition(".")[0]
    return major.isdecimal() and int(major) >= 8
