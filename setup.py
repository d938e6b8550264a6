"""Packaging. Tool settings are in pyproject.toml; the tested versions of all dependencies in constraints.txt."""

from __future__ import annotations

import setuptools

setuptools.setup(
    name="fmnist_jax",
    version="0.1.0",
    description="Which CNN, which optimizer, and is the difference real? Fashion-MNIST with JAX and Flax NNX.",
    license="Apache-2.0",
    license_files=["LICENSE"],
    packages=setuptools.find_packages(include=["fmnist_jax", "fmnist_jax.*"]),
    package_data={"fmnist_jax": ["py.typed"]},
    include_package_data=False,
    zip_safe=False,
    python_requires=">=3.11",
    install_requires=[
        "absl-py>=2.1",
        # jax.export reads and writes its files with it, without declaring it.
        "flatbuffers>=25",
        "flax>=0.12.8,<1",
        # tensorflow-datasets 4.9.10 imports it without declaring it.
        "importlib-resources>=6",
        "jax>=0.10.2,<1",
        "matplotlib>=3.10,<4",
        "ml-collections>=1,<2",
        "numpy>=2.1,<3",
        "optax>=0.2.8,<1",
        "orbax-checkpoint>=0.12.8,<1",
        "pillow>=11.3",
        # tensorflow-datasets needs it, too.
        "pyarrow>=22",
        # Before it, a progress bar that is not shown still writes an empty line.
        "rich>=14.3.1",
        "scipy>=1.15,<2",
        "tensorboardX>=2.6.4,<3",
        "tensorflow-datasets>=4.9.10,<5",
    ],
    extras_require={
        "cuda13": ["jax[cuda13]"],
        "tpu": ["jax[tpu]"],
        "heic": ["pillow-heif>=1"],
        # What scripts/benchmark.py measures against.
        "peers": ["keras>=3.12,<4", "tensorflow>=2.20,<3", "torch>=2.9,<3"],
        "dev": ["hypothesis>=6.150", "mypy>=2.4,<3", "pytest>=9,<10", "pytest-xdist>=3.8,<4", "ruff>=0.17,<1"],
    },
    classifiers=[
        "Development Status :: 4 - Beta",
        "Intended Audience :: Education",
        "Intended Audience :: Science/Research",
        "Operating System :: POSIX",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Typing :: Typed",
    ],
)
