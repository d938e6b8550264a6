"""Times our training and evaluation beside stock Flax, Keras and PyTorch, in processes of their own, interleaved.

fmnist-jax benchmark --workdir=runs/benchmark [--models=model3] [--contenders=ours,torch] [--growth]
fmnist-jax benchmark --workdir=runs/batch_norm --models=resnet8,speednet --batch_sizes=256,512
fmnist-jax benchmark --workdir=runs/populations --models=model3 --contenders=ours --growth --members=1,8,64
fmnist-jax benchmark --workdir=runs/widths --models=model3 --contenders=ours --axes=channels
fmnist-jax benchmark --workdir=runs/numerics --models=model3 --contenders=ours --numerics=precision,algorithms

--numerics measures our training speed by `precision` (float32, tf32 where the device has it, bfloat16) and by
`algorithms` (of the convolutions, in populations of --members as one program). What does not fit into memory or fails
is listed with the reason, and the rest is measured.

What is not installed is listed as such; scripts/benchmark_peers.sh makes an environment with all frameworks, and runs
this in it. Writes benchmark.json (every measurement, and what is needed to repeat them), benchmark.md and plots. The
defaults take over an hour on two cores: let the machine do nothing else meanwhile.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from fmnist_jax.benchmark.candidates import CANDIDATES
from fmnist_jax.benchmark.problem import PROBLEMS
from fmnist_jax.cli.flags import check_no_arguments, define_workdir

_WORKDIR = define_workdir("Folder for the results.")
_STUDY = ["model1", "model2", "model3", "model4", "2c2d"]
_MODELS = flags.DEFINE_list("models", _STUDY, f"Networks to time, of {', '.join(PROBLEMS)}.")
_BATCHES = flags.DEFINE_list("batch_sizes", [], "Batch sizes to time every network in; default: its own, 256.")
_CONTENDERS = flags.DEFINE_list("contenders", list(CANDIDATES), "Candidates to time.")
_REPEATS = flags.DEFINE_integer("repeats", 5, "Measurements of each.", lower_bound=1)
_SECONDS = flags.DEFINE_float("seconds", 3.0, "About how long a measurement takes, an epoch at most.", lower_bound=0.0)
_GROWTH = flags.DEFINE_boolean("growth", False, "Also measure our training speed along all of --axes.")
_ALONG = "batch (size), cores, vmap (members as one program), threads (one program per member), channels"
_AXES = flags.DEFINE_list("axes", [], f"Also measure our training speed along these axes: {_ALONG}.")
_PARTS = "precision, algorithms (of convolutions, by members)"
_NUMERICS = flags.DEFINE_list("numerics", [], f"Also measure our training speed by: {_PARTS}.")
_SIZES = "1,2,4,8 on a CPU, 1,8,64,256 on an accelerator"
_MEMBERS = flags.DEFINE_list("members", [], f"Sizes of the populations of --growth and --numerics; default: {_SIZES}.")
_KERAS = flags.DEFINE_string("keras_python", "", "The interpreter that has Keras and TensorFlow, if not this one.")
_TORCH = flags.DEFINE_string("torch_python", "", "The interpreter that has PyTorch, if not this one.")


def main(arguments: Sequence[str]) -> None:
    """Measures, and prints the tables."""
    check_no_arguments(arguments)
    from fmnist_jax.benchmark.interleaved import Budget
    from fmnist_jax.benchmark.suite import GROWTH, Settings, run

    pythons = {"keras": _KERAS.value, "torch": _TORCH.value}
    axes = _AXES.value or (list(GROWTH) if _GROWTH.value else [])
    budget = Budget(_REPEATS.value, _SECONDS.value)
    sizes = {"members": _MEMBERS.value, "batch_sizes": _BATCHES.value}
    settings = Settings(_MODELS.value, _CONTENDERS.value, budget, pythons, axes, _NUMERICS.value, **sizes)
    print(run(Path(_WORKDIR.value), settings, log=lambda text: print(text, file=sys.stderr, flush=True)), end="")
