"""Classifies images with a trained network: prints the three most probable garments of each.

python scripts/predict.py --workdir=runs/model3 [--checkpoint=last] [--json] IMAGE...

Takes PNG, JPEG and other pictures of any size, .npy arrays and IDX files. Pictures are converted to 28x28 grey as the
data set's authors did, and inverted if their background is light.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from absl import flags

from fmnist_jax.cli import app
from fmnist_jax.cli.flags import define_trained_run

_WORKDIR, _CHECKPOINT, _CONFIG = define_trained_run()
_JSON = flags.DEFINE_bool("json", False, "Print a JSON object for each image, with all ten probabilities.")

_TOP = 3


def main(arguments: Sequence[str]) -> None:
    """Reads all images, then predicts."""
    import numpy as np

    from fmnist_jax.data.images import read_images
    from fmnist_jax.errors import ImageError
    from fmnist_jax.train.evaluation import load_trained

    if not arguments:
        raise ImageError("no image is given; name one or more: scripts/predict.py --workdir=DIR IMAGE...")
    files = [(path, read_images(path)) for path in arguments]
    names = [path if len(images) == 1 else f"{path}[{i}]" for path, images in files for i in range(len(images))]
    trained = load_trained(_WORKDIR.value, _CHECKPOINT.value, _CONFIG.value)
    probabilities = trained.predict(np.concatenate([images for _, images in files]))
    for name, row in zip(names, probabilities.tolist(), strict=True):
        print(_as_json(name, row, trained.checkpoint.epoch) if _JSON.value else _as_text(name, row))


def _ranked(row: list[float]) -> dict[str, float]:
    from fmnist_jax.data import CLASS_NAMES

    by_name = dict(zip(CLASS_NAMES, row, strict=True))
    return dict(sorted(by_name.items(), key=lambda item: -item[1]))


def _as_text(name: str, row: list[float]) -> str:
    best = list(_ranked(row).items())[:_TOP]
    return f"{name}: " + ", ".join(f"{garment} {share:.1%}" for garment, share in best)


def _as_json(name: str, row: list[float], epoch: int) -> str:
    ranked = _ranked(row)
    answer = {"image": name, "class": next(iter(ranked)), "probabilities": ranked, "checkpoint_epoch": epoch}
    return json.dumps(answer)


if __name__ == "__main__":
    app.run(main)
