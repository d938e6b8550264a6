"""Classifies images with a trained network: prints the three most probable classes of each.

fmnist-jax predict --workdir=runs/model3 [--checkpoint=last] [--json | --csv] IMAGE_OR_FOLDER...

Takes PNG, JPEG and other pictures of any size, .npy arrays and IDX files; of a folder, the files with such names.
Pictures are converted to the size and the colours of the run's data; for Fashion-MNIST to 28x28 grey as its authors
did, inverted if their background is light. Files that cannot be read are named, the others predicted all the same.
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from absl import flags

from fmnist_jax.cli.flags import define_trained_run, report_error

_WORKDIR, _CHECKPOINT, _CONFIG = define_trained_run()
_JSON = flags.DEFINE_bool("json", False, "Print a JSON object for each image, with the probabilities of all classes.")
_CSV = flags.DEFINE_bool("csv", False, "Print a table: image, class, and the probability of each class.")

_TOP = 3


def main(arguments: Sequence[str]) -> None:
    """Reads all images, then predicts."""
    import numpy as np

    from fmnist_jax.data.image_files import read_image_files
    from fmnist_jax.errors import ImageError, UserError, WorkdirError, command
    from fmnist_jax.train.evaluation import load_trained
    from fmnist_jax.train.workdir import described_data, read_manifest

    if not arguments:
        raise ImageError(f"no image is given; name one or more: {command('predict')} --workdir=DIR IMAGE...")
    if _JSON.value and _CSV.value:
        raise UserError("--json and --csv exclude each other")
    description = described_data(read_manifest(Path(_WORKDIR.value)))
    images, names, errors = read_image_files(arguments, description)
    if not names:
        raise errors[0]
    trained = load_trained(_WORKDIR.value, _CHECKPOINT.value, _CONFIG.value)
    probabilities = trained.predict(images)
    if not np.isfinite(probabilities).all():
        raise WorkdirError(f"the run in {_WORKDIR.value} diverged: it predicts nothing; take another --checkpoint")
    rows = probabilities.tolist()
    if _CSV.value:
        _print_table(names, rows, description.class_names)
    else:
        for name, row in zip(names, rows, strict=True):
            by_name = zip(description.class_names, row, strict=True)
            ranked = dict(sorted(by_name, key=lambda item: -item[1]))
            print(_as_json(name, ranked, trained.checkpoint.epoch) if _JSON.value else _as_text(name, ranked))
    for error in errors[:-1]:
        report_error(str(error))
    if errors:
        raise errors[-1]


def _as_text(name: str, ranked: Mapping[str, float]) -> str:
    return f"{name}: " + ", ".join(f"{found} {share:.1%}" for found, share in list(ranked.items())[:_TOP])


def _as_json(name: str, ranked: Mapping[str, float], epoch: int) -> str:
    answer = {"image": name, "class": next(iter(ranked)), "probabilities": ranked, "checkpoint_epoch": epoch}
    return json.dumps(answer)


def _print_table(names: Sequence[str], rows: Sequence[Sequence[float]], class_names: Sequence[str]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["image", "class", *class_names])
    writer.writerows([name, class_names[row.index(max(row))], *row] for name, row in zip(names, rows, strict=True))
