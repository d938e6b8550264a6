"""Measures the error rates of the study report's tests and intervals, on simulated studies of known truth.

fmnist-jax calibrate --output=docs/statistics/calibration.json [--studies=20000]

Writes the JSON file and the same as Markdown beside it. The default takes five minutes on a CPU; no data is needed.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from fmnist_jax.cli.flags import check_no_arguments
from fmnist_jax.errors import ConfigError

_OUTPUT = flags.DEFINE_string("output", "", "The JSON file to write.")
_STUDIES = flags.DEFINE_integer("studies", 20_000, "Number of simulated studies per rate.", lower_bound=20)


def main(arguments: Sequence[str]) -> None:
    """Runs the simulations and writes the tables."""
    check_no_arguments(arguments)
    from fmnist_jax.calibration.record import calibrate

    output = Path(_OUTPUT.value)
    if output.suffix != ".json":
        raise ConfigError(f"--output must be a .json file, as docs/statistics/calibration.json, not {_OUTPUT.value!r}")
    calibrate(output, _STUDIES.value, log=lambda text: print(text, file=sys.stderr, flush=True))
    print(output.with_suffix(".md"))
