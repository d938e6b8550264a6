"""Runs a record: as few seconds as possible to a mean test accuracy above a target that was declared before.

fmnist-jax record --config=records/fast_92 --pilot --workdir=runs/pilots/fast_92 [--seeds=5]
fmnist-jax record --config=records/fast_92
fmnist-jax record --config=records/fast_92 --against=records/fast_91 [--turns=5]

--pilot tries a config out on a validation split, with any --config.KEY=VALUE, and writes pilot.json. Without it, all
code and the config are committed first; then each run is scored once on the test set, which the ledger lists, and
docs/records/NAME/ gets record.json and a page. --against times two records in turns, without the test set. The same
command again goes on with what is missing. docs/records/README.md has the rules.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from absl import flags

from fmnist_jax.cli.flags import check_no_arguments, config_file, define_config, define_config_path, define_workdir

_CONFIG = define_config("records/fast_92")
_WORKDIR = define_workdir("Folder for the results; of a record, by default docs/records/NAME.", required=False)
_PILOT = flags.DEFINE_boolean("pilot", False, "Try it out on a validation split; nothing is registered.")
_SEEDS = flags.DEFINE_integer("seeds", 5, "Of a pilot: how many seeds, from config.seed on.", lower_bound=1)
_AGAINST = define_config_path("against", "Config of another record, to time both in turns.")
_TURNS = flags.DEFINE_integer("turns", 5, "How many turns.", lower_bound=1)


def main(arguments: Sequence[str]) -> None:
    """Runs what is missing, and prints what came out."""
    check_no_arguments(arguments)
    from fmnist_jax.records import commands

    file, folder = config_file(), Path(_WORKDIR.value) if _WORKDIR.value else None
    if _PILOT.value:
        commands.pilot(_CONFIG.value, file, folder, _SEEDS.value)
    elif _AGAINST.value:
        commands.turns(_CONFIG.value, file, Path(_AGAINST.value), folder, _TURNS.value)
    else:
        commands.record(_CONFIG.value, file, folder)
