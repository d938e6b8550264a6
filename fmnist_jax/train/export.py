"""Exports a trained network as a `jax.export` artifact, which runs without this package, Flax and optax."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import jax
import jax.export
import jax.numpy as jnp
import numpy as np

from fmnist_jax.errors import WorkdirError
from fmnist_jax.files.atomic import remove, write_atomically, write_json
from fmnist_jax.ops.conv_algorithm import portable
from fmnist_jax.runtime.user_code import user_code
from fmnist_jax.train.evaluation import TrainedRun, load_trained
from fmnist_jax.train.manifest import code, versions
from fmnist_jax.train.network import Evaluated
from fmnist_jax.train.run import Run
from fmnist_jax.train.weights import Weights, gather, put_into, sha256, to_npz
from fmnist_jax.train.workdir import read_manifest

PLATFORMS = ("cpu", "cuda", "tpu")
NETWORK, WEIGHTS, ABOUT, LOADER = "network.jax", "weights.npz", "network.json", "load.py"


def export_network(
    workdir: str | os.PathLike[str],
    output: str | os.PathLike[str],
    checkpoint: str = "last",
    config_file: str | os.PathLike[str] | None = None,
) -> dict[str, Any]:
    """Writes the network of a run into the folder `output`, for CPUs, NVIDIA GPUs and TPUs and any batch size.

    The files: `network.jax`, the artifact, a function `(weights, uint8[batch, height, width(, channels)]) ->
    float32[batch, classes]` with the preprocessing and the test-time augmentation of the run; `weights.npz`, its first
    argument; `network.json`, what is returned; `load.py`, which runs it with jax and flatbuffers alone.

    Its convolutions are XLA's. Its probabilities are those of `predict` up to float32 rounding; of a run with
    `config.model.conv_algorithm=xla`, on one CPU device, they are the same bits for up to
    `config.train.eval_batch_size` images. `predict` takes more of them in a loop, for which XLA computes convolutions
    in another way.

    **Arguments:**

    - `checkpoint`, `config_file`: as of `load_trained`.

    **Returns:** class names, image shape, SHA-256 of the files, config, versions.

    **Raises:** `UserError` as `load_trained`, for a diverged run, a network that cannot take batches of any size, or a
    folder that cannot be written.
    """
    trained, folder = load_trained(workdir, checkpoint, config_file), Path(output)
    evaluated = jax.jit(trained.run.evaluated)(trained.checkpoint.state)
    weights = gather(*evaluated)
    if not all(np.isfinite(leaf).all() for leaf in weights.values()):
        raise WorkdirError(f"the run in {workdir} diverged: there is nothing to export; take another --checkpoint")
    with user_code(f"model {trained.config.model.name!r}", "cannot be exported for batches of any size"):
        artifact = export(trained.run, weights, evaluated, trained.description.array_shape)
    files = {
        LOADER: Path(__file__).with_name("load_exported.py").read_bytes(),
        WEIGHTS: to_npz(weights),
        NETWORK: bytes(artifact.serialize()),
    }
    about = _about(Path(workdir), trained, artifact, {name: sha256(content) for name, content in files.items()})
    # It names the digests of the others, and is the last one that is there.
    remove(folder / ABOUT)
    for name, content in files.items():
        write_atomically(folder / name, content)
    write_json(folder / ABOUT, about)
    return about


def export(run: Run, weights: Weights, evaluated: Evaluated, array_shape: tuple[int, ...]) -> jax.export.Exported:
    """Returns the artifact, a function of weights like these, which are those of `evaluated`, and of images."""
    (batch,) = jax.export.symbolic_shape("batch")

    # The weights are an argument: XLA would choose other products for constants, which round differently.
    def probabilities(weights: dict[str, jax.Array], images: jax.Array) -> jax.Array:
        return run.probabilities(Evaluated(*put_into(weights, *evaluated)), images)

    with portable():
        exporting = jax.export.export(jax.jit(probabilities), platforms=PLATFORMS)
        return exporting(weights, jax.ShapeDtypeStruct((batch, *array_shape), jnp.uint8))


def _about(
    workdir: Path, trained: TrainedRun, artifact: jax.export.Exported, digests: dict[str, str]
) -> dict[str, Any]:
    manifest, description = read_manifest(workdir), trained.description
    return {
        "class_names": list(description.class_names),
        "image_shape": list(description.image_shape),
        "images": str(artifact.in_avals[-1].str_short()),
        "probabilities": str(artifact.out_avals[0].str_short()),
        "preprocessing": "in the artifact: it takes pixels from 0 to 255",
        "platforms": list(artifact.platforms),
        "sha256": digests,
        "workdir": str(workdir.resolve()),
        "checkpoint_epoch": trained.checkpoint.epoch,
        "config": trained.config.to_dict(),
        "data": {"name": description.name, "digests": manifest["data"]["digests"]},
        "versions": versions(),
        **code(),
    }
