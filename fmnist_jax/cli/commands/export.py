"""Exports a trained network, to run on CPUs, NVIDIA GPUs and TPUs without this package.

fmnist-jax export --workdir=runs/model3 --output=exported [--checkpoint=last]

Writes network.jax (made by jax.export; batches of any size; preprocessing included), weights.npz, network.json and
load.py, which classifies images with them: python exported/load.py IMAGES.npy
"""

from __future__ import annotations

from collections.abc import Sequence

from fmnist_jax.cli.flags import check_no_arguments, define_folder, define_trained_run

_WORKDIR, _CHECKPOINT, _CONFIG = define_trained_run()
_OUTPUT = define_folder("output", "Folder to write to.", "the folder to write to")


def main(arguments: Sequence[str]) -> None:
    """Exports."""
    check_no_arguments(arguments)
    from fmnist_jax.train.export import export_network

    about = export_network(_WORKDIR.value, _OUTPUT.value, _CHECKPOINT.value, _CONFIG.value)
    print(
        f"exported after epoch {about['checkpoint_epoch']}, for {', '.join(about['platforms'])}, "
        f"{about['images']} to {about['probabilities']}; try it: python {_OUTPUT.value}/load.py IMAGES.npy"
    )
