"""Compiles a config's programs for an accelerator that is not there: compile time, arithmetic, memory, roofline.

fmnist-jax aot --config=model3 --target=tpu-v5e:2x2 --members=1,64 --output=model3.json
fmnist-jax aot --config=model3 --target=gpu-h100:4 --precision=float32,bfloat16 --algorithm=xla,patches --programs=step
fmnist-jax aot model3.json model4.json

The last prints the table of what the others wrote. scripts/aot.sh is the same in an environment with the compilers for
TPUs and NVIDIA GPUs. Compiling keeps a core busy for about a minute a program.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import flags

from fmnist_jax.cli.flags import config_file, define_config
from fmnist_jax.config.schema import CONV_ALGORITHMS, PRECISIONS
from fmnist_jax.errors import ConfigError

_CONFIG = define_config(required=False)
_TARGET = flags.DEFINE_string("target", "cpu", "What to compile for: tpu-v5e:2x2, tpu-v6e:2x2, gpu-h100:4, cpu ...")
_MEMBERS = flags.DEFINE_list("members", ["1"], "How many members each device trains at once; 1 is a single run.")
_PRECISION = flags.DEFINE_list("precision", [], f"Of {', '.join(PRECISIONS)}; default: the config's.")
_ALGORITHM = flags.DEFINE_list("algorithm", [], f"Of {', '.join(CONV_ALGORITHMS)}; default: the config's.")
_PROGRAMS = flags.DEFINE_list("programs", ["epoch", "step", "evaluate"], "Which; a step is an epoch of one batch.")
_OUTPUT = flags.DEFINE_string("output", "", "JSON file to write to; default: none.")


def main(arguments: Sequence[str]) -> None:
    """Compiles and prints the table, or prints that of files."""
    from fmnist_jax.benchmark.aot import record

    records = [record.read(Path(file)) for file in arguments]
    if not records:
        records = [_compile()]
    print(record.markdown(records), end="")
    if found := [line for each in records for line in record.communicating(each)]:
        sys.exit(f"devices communicate in a population, whose members are independent: {'; '.join(found)}")


def _compile() -> dict[str, Any]:
    import jax

    from fmnist_jax.benchmark.aot import programs, record, targets
    from fmnist_jax.benchmark.checks import check_names
    from fmnist_jax.config.schema import validate
    from fmnist_jax.files.atomic import write_json
    from fmnist_jax.runtime.compiler import disable_cache

    config = _CONFIG.value
    if config is None:
        raise ConfigError("--config must be given, e.g. --config=model3, or files that --output wrote")
    validate(config)
    check_names("programs", _PROGRAMS.value, programs.PROGRAMS, required=True)
    jax.config.update("jax_platforms", "cpu")  # an accelerator that is here is not needed
    disable_cache()
    target = targets.parse(_TARGET.value)
    variants = programs.variants(config, _MEMBERS.value, _PRECISION.value, _ALGORITHM.value, target)
    found: dict[str, Any] = {}
    plan = itertools.product(variants, _PROGRAMS.value)
    for found in record.measured(config, config_file().stem, target, plan, lambda text: print(text, file=sys.stderr)):
        if _OUTPUT.value:
            write_json(Path(_OUTPUT.value), found)
    return found
