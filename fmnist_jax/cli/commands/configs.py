"""Lists the configs that come with the package, to be given by name: --config=model3

fmnist-jax configs
"""

from __future__ import annotations

from collections.abc import Sequence

from fmnist_jax.cli.command import table
from fmnist_jax.cli.flags import check_no_arguments
from fmnist_jax.config.shipped import shipped

NEEDS_JAX = False


def main(arguments: Sequence[str]) -> None:
    """Prints the list."""
    check_no_arguments(arguments)
    print(table(shipped()))
