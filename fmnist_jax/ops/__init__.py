"""Convolutions and matrix products, lowered to what is fastest on each backend."""

from fmnist_jax.ops.convolution import conv2d, conv_general_dilated
from fmnist_jax.ops.dense import dot_general
from fmnist_jax.ops.pooled_convolution import conv_relu_pool, max_pool

__all__ = ["conv2d", "conv_general_dilated", "conv_relu_pool", "dot_general", "max_pool"]
