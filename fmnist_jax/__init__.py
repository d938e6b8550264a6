"""Which CNN, which optimizer, and is the difference real? Fashion-MNIST with JAX and Flax NNX."""
