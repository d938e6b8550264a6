"""Which folders are packaged, configs/ as fmnist_jax/configs/; all else is in pyproject.toml."""

from __future__ import annotations

import setuptools

CONFIGS = "fmnist_jax.configs"

setuptools.setup(
    packages=[
        *setuptools.find_packages(include=["fmnist_jax", "fmnist_jax.*"]),
        CONFIGS,
        *(f"{CONFIGS}.{folder}" for folder in setuptools.find_namespace_packages("configs")),
    ],
    package_dir={CONFIGS: "configs"},
    package_data={"fmnist_jax": ["py.typed"]},
    include_package_data=False,
    zip_safe=False,
)
