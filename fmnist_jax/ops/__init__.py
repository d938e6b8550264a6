"""Cache-blocked Winograd and FFT convolutions, fused with bias, ReLU and pooling; dense products; random order."""

from fmnist_jax.ops.conv2d import conv2d, conv_general_dilated
from fmnist_jax.ops.conv_relu_pool import conv_relu_pool, global_max_pool, max_pool
from fmnist_jax.ops.dense import dot_general
from fmnist_jax.ops.permutation import permutation

__all__ = [
    "conv2d",
    "conv_general_dilated",
    "conv_relu_pool",
    "dot_general",
    "global_max_pool",
    "max_pool",
    "permutation",
]
