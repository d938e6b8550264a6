"""The config: its schema, validation, JSON, and the Python files that make one."""

from fmnist_jax.config.schema import default_config

__all__ = ["default_config"]
