"""Prints a table of the built-in networks: parameters and floating-point operations. Takes a few seconds.

fmnist-jax models
"""

from __future__ import annotations

from collections.abc import Sequence

from fmnist_jax.cli.flags import check_no_arguments


def main(arguments: Sequence[str]) -> None:
    """Prints the table."""
    check_no_arguments(arguments)
    from fmnist_jax.models import model_table

    print(model_table())
