"""Says what garment is in an image, by a trained network: the top three classes with their probabilities.

python scripts/predict.py --workdir=runs/model3 [--json] IMAGE...

Takes PNG, JPEG and other pictures of any size, .npy arrays and IDX files. They are turned into 28x28 grey as the data
set's authors did it, and inverted when the background is light.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from absl import flags

from fmnist_jax.cli import app
from fmnist_jax.cli.flags import define_workdir

_WORKDIR = define_workdir("Folder of the run.")
_JSON = flags.DEFINE_bool("json", False, "Print one JSON object per image, with all ten probabilities.")

_TOP = 3


def main(arguments: Sequence[str]) -> None:
    """Reads every image before it predicts any."""
    import numpy as np

    from fmnist_jax.data.images import read_images
    from fmnist_jax.errors import ImageError
    from fmnist_jax.train.evaluation import predict

    if not arguments:
        raise ImageError("no image is given; name one or more: scripts/predict.py --workdir=DIR IMAGE...")
    pictures = [read_images(path) for path in arguments]
    named = zip(arguments, pictures, strict=True)
    names = [_name(path, i, len(images)) for path, images in named for i in range(len(images))]
    probabilities = predict(_WORKDIR.value, np.concatenate(pictures))
    for name, row in zip(names, probabilities.tolist(), strict=True):
        print(_as_json(name, row) if _JSON.value else _as_text(name, row))


def _name(path: str, index: int, count: int) -> str:
    return path if count == 1 else f"{path}[{index}]"


def _ranked(row: list[float]) -> dict[str, float]:
    from fmnist_jax.data import CLASS_NAMES

    by_name = dict(zip(CLASS_NAMES, row, strict=True))
    return dict(sorted(by_name.items(), key=lambda item: -item[1]))


def _as_text(name: str, row: list[float]) -> str:
    best = list(_ranked(row).items())[:_TOP]
    return f"{name}: " + ", ".join(f"{garment} {share:.1%}" for garment, share in best)


def _as_json(name: str, row: list[float]) -> str:
    ranked = _ranked(row)
    return json.dumps({"image": name, "class": next(iter(ranked)), "probabilities": ranked})


if __name__ == "__main__":
    app.run(main)
