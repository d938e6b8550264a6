"""Classifies images with a trained network: prints the three most probable classes of each.

python scripts/predict.py --workdir=runs/model3 [--checkpoint=last] [--json] IMAGE...

Takes PNG, JPEG and other pictures of any size, .npy arrays and IDX files. Pictures are converted to the size and the
colours of the run's data; for Fashion-MNIST to 28x28 grey as its authors did, inverted if their background is light.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from absl import flags

from fmnist_jax.cli import app
from fmnist_jax.cli.flags import define_trained_run

_WORKDIR, _CHECKPOINT, _CONFIG = define_trained_run()
_JSON = flags.DEFINE_bool("json", False, "Print a JSON object for each image, with the probabilities of all classes.")

_TOP = 3


def main(arguments: Sequence[str]) -> None:
    """Reads all images, then predicts."""
    import numpy as np

    from fmnist_jax.data.images import read_images
    from fmnist_jax.errors import ImageError
    from fmnist_jax.train.evaluation import load_trained
    from fmnist_jax.train.workdir import described_data, read_manifest

    if not arguments:
        raise ImageError("no image is given; name one or more: scripts/predict.py --workdir=DIR IMAGE...")
    description = described_data(read_manifest(Path(_WORKDIR.value)))
    files = [(path, read_images(path, description)) for path in arguments]
    names = [path if len(images) == 1 else f"{path}[{i}]" for path, images in files for i in range(len(images))]
    trained = load_trained(_WORKDIR.value, _CHECKPOINT.value, _CONFIG.value)
    probabilities = trained.predict(np.concatenate([images for _, images in files]))
    for name, row in zip(names, probabilities.tolist(), strict=True):
        by_name = zip(description.class_names, row, strict=True)
        ranked = dict(sorted(by_name, key=lambda item: -item[1]))
        print(_as_json(name, ranked, trained.checkpoint.epoch) if _JSON.value else _as_text(name, ranked))


def _as_text(name: str, ranked: Mapping[str, float]) -> str:
    return f"{name}: " + ", ".join(f"{found} {share:.1%}" for found, share in list(ranked.items())[:_TOP])


def _as_json(name: str, ranked: Mapping[str, float], epoch: int) -> str:
    answer = {"image": name, "class": next(iter(ranked)), "probabilities": ranked, "checkpoint_epoch": epoch}
    return json.dumps(answer)


if __name__ == "__main__":
    app.run(main)
