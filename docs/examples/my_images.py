"""Trains on folders of pictures, one folder a class: DIR/train/cat/1.png, DIR/test/cat/2.png and so on.

python scripts/train.py --config=docs/examples/my_images.py --config.data.dir=DIR --workdir=runs/my_images

With a validation split (--config.data.val_examples) it is for your own choices; in a study name it in study.datasets.
"""

import numpy as np
from PIL import Image

from fmnist_jax import dataset_from_arrays, default_config, register_dataset

SIZE = (32, 32)  # width and height that all pictures are resized to


def read_split(folder, class_names):
    """Returns the pictures `uint8[n, height, width, 3]` and labels `int[n]` of a folder that has one for each class."""
    paths = [(path, label) for label, name in enumerate(class_names) for path in sorted((folder / name).iterdir())]
    images = [np.asarray(Image.open(path).convert("RGB").resize(SIZE)) for path, _ in paths]
    return np.stack(images), np.array([label for _, label in paths])


def load(folder):
    """Returns the data set of the pictures in `folder`, which `config.data.dir` names."""
    class_names = sorted(path.name for path in (folder / "train").iterdir())
    splits = [read_split(folder / split, class_names) for split in ("train", "test")]
    return dataset_from_arrays(*splits, class_names=class_names)


register_dataset("my_images", load)


def get_config():
    """Returns the config of a run."""
    config = default_config()
    config.data.name = "my_images"
    config.model.name = "model3"
    return config
